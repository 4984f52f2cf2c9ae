// A picture as filmed over the same as drawn: the slider says how much of each is seen.
for (const slider of document.querySelectorAll(".slide input")) {
  slider.addEventListener("input", () => slider.parentElement.style.setProperty("--share", `${slider.value}%`));
}

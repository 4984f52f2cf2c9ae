"""Advice to the person who films, and the section of docs/filming.md that shows it.

Where an error's advice is one of these texts, its section is known by the text; else by the error's code. So a message
carries no link, and every place that shows an error finds the same one: `see(code, advice)`.
"""

from __future__ import annotations

from enum import StrEnum

PAGE = "docs/filming.md"


class Section(StrEnum):
    """Of the page. A test looks for each heading."""

    MOVE_AROUND = "move-around"
    SLOWLY = "slowly"
    LIGHT = "light"
    OVERLAP = "overlap"
    ONE_PLACE = "one-place"
    STILL_THINGS = "still-things"
    LENS_AND_ZOOM = "lens-and-zoom"
    RECORDINGS = "screen-recordings-and-edited-films"
    PHOTOS = "photos"
    FILES = "files"


WALK = "walk around the scene while filming, with your feet: depth is seen only from different places"
WALK_SIDEWAYS = "walk sideways around what you film, not only straight ahead or on the spot"
LONGER = "film longer, and move while filming"
TEN_SECONDS = "film for at least ten seconds while walking around the scene"
SLOWER = "film slower, in good light, with most of each picture seen again in the next"
SLOWER_TURNS = "move and turn the camera more slowly, in good light"
LIGHTS_ON = "film in daylight or switch on the lights"
LESS_LIGHT = "film away from the light, or lower the exposure"
SHARP = "hold the camera still enough to be sharp, and film things with texture, not bare walls"
TEXTURE = "film in good light, slowly, and things with texture: not bare walls, glass or sky"
MORE_TO_SEE = "film slowly and from closer, and keep things with texture in the picture"
SAME_PLACE = "film the same place in all clips, and pass slowly between its parts so that pictures overlap"
EACH_PLACE = "upload each place as a scene of its own"
UNIQUE = "things that repeat (tiles, bricks, windows) look alike: keep something unique in view, from further away"
ONE_LENS = "film with one lens and without zoom, and walk sideways around what you film"
AS_RECORDED = (
    "upload the film as the camera recorded it: a program that steadies it bends its pictures; "
    "and film with one lens, without zoom"
)
UNCUT = "upload the recordings as the camera made them, without cuts or titles, and only those of one place"
LENS_FREE = (
    "take away what covers the lens (a cap, a finger, a pocket), switch on the lights, and film things with texture"
)
PLAY_IT = "play the film before you upload it: it has to show the place, filmed by a camera that moves through it"
MORE_PHOTOS = "take more photos, each from another place, and let neighbours overlap by two thirds"
AS_TAKEN = "upload the photos as the camera took them, not cropped or straightened, all with one lens and zoom"

SECTIONS = {
    WALK: Section.MOVE_AROUND,
    WALK_SIDEWAYS: Section.MOVE_AROUND,
    LONGER: Section.MOVE_AROUND,
    TEN_SECONDS: Section.MOVE_AROUND,
    SLOWER: Section.SLOWLY,
    SLOWER_TURNS: Section.SLOWLY,
    LIGHTS_ON: Section.LIGHT,
    LESS_LIGHT: Section.LIGHT,
    SHARP: Section.SLOWLY,
    TEXTURE: Section.LIGHT,
    MORE_TO_SEE: Section.LIGHT,
    SAME_PLACE: Section.OVERLAP,
    EACH_PLACE: Section.ONE_PLACE,
    UNIQUE: Section.ONE_PLACE,
    ONE_LENS: Section.LENS_AND_ZOOM,
    AS_RECORDED: Section.RECORDINGS,
    UNCUT: Section.RECORDINGS,
    LENS_FREE: Section.LIGHT,
    PLAY_IT: Section.RECORDINGS,
    MORE_PHOTOS: Section.PHOTOS,
    AS_TAKEN: Section.PHOTOS,
}
BY_CODE = {
    "NO_VIDEO": Section.FILES,
    "NOT_A_VIDEO": Section.FILES,
    "NO_VIDEO_STREAM": Section.FILES,
    "EMPTY_FILE": Section.FILES,
    "CORRUPT_VIDEO": Section.FILES,
    "UNSAFE_VIDEO": Section.FILES,
    "TOO_LARGE": Section.FILES,
    "TOO_SMALL": Section.FILES,
    "NOT_A_PHOTO": Section.PHOTOS,
    "CORRUPT_PHOTO": Section.FILES,
    "PANORAMA": Section.LENS_AND_ZOOM,
    "TOO_SHORT": Section.MOVE_AROUND,
    "TOO_FEW_FRAMES": Section.MOVE_AROUND,
    "NO_DETAIL": Section.LIGHT,
    "STATIC_CAMERA": Section.MOVE_AROUND,
    "NO_OVERLAP": Section.OVERLAP,
    "TOO_FEW_REGISTERED": Section.SLOWLY,
    "POSES_UNRELIABLE": Section.MOVE_AROUND,
    "POSES_SUSPECT": Section.OVERLAP,
    "CLIPS_LOST": Section.OVERLAP,
}


def see(code: str, advice: str = "") -> str:
    """Where an advice is shown: "docs/filming.md#slowly"; empty for what is no matter of filming."""
    section = SECTIONS.get(advice) or BY_CODE.get(code)
    return f"{PAGE}#{section}" if section else ""

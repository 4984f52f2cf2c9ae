"""What a scene will take, before anything is spent: time per stage, memory, disk, and money where prices are known.

    footage.py    what is known of the uploads          plans.py    what a preset does with them
    model.py      the two together: an Estimate         learned.py  what finished scenes took, against their estimates
    prices.py     prices.tsv, and what machines cost    words.py    all of it in lines for people

Pure: no file but prices.tsv is read here, and no clock.
"""

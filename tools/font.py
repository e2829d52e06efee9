"""Makes the font of Chinese figures: `python tools/font.py NotoSansCJK-Regular.ttc`.

The file comes with Debian's package fonts-noto-cjk. What is kept of it: the 3,755 characters of
GB2312 level 1, ASCII, Greek, punctuation and signs, and every character of our tables of texts."""
import argparse
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection

LIB = Path(__file__).resolve().parent.parent/"brain_tumor_nb"
FONT = LIB/"fonts"/"NotoSansCJKsc-Regular.otf"
SIGNS = ("£°±²³µ·¹¼½¾×÷–—‘’“”†‡•…‰′″€№™←↑→↓↔⇒−≈≠≤≥∞∑√∝∈∩∪■□▲△▼▽◆◇○●★☆✓✗ "
         "　、。〈〉《》「」『』【】〔〕！＂＃％＆（）＊＋，－．／：；＜＝＞？＠［］～￥")


def characters():
    "All that a text may hold, sorted."
    level_1 = (bytes([row, column]).decode("gb2312") for row in range(0xB0, 0xD8)
               for column in range(0xA1, 0xFF) if (row, column) < (0xD7, 0xFA))
    plain = map(chr, (*range(0x20, 0x7F), *range(0xA0, 0x100), *range(0x391, 0x3CA)))
    texts = (file.read_text(encoding="utf-8") for file in sorted(LIB.glob("languages/*.csv")))
    return sorted({c for part in (level_1, plain, SIGNS, *texts) for c in part if c.isprintable()})


def make_font(collection, to=FONT):
    "Write the part of a collection's simplified Chinese face that we use; its number of glyphs."
    faces = TTCollection(collection).fonts
    face = next(f for f in faces if f["name"].getDebugName(4) == "Noto Sans CJK SC")
    options = Options(desubroutinize=True, layout_features=[],
                      name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14])
    subset = Subsetter(options)
    subset.populate(text="".join(characters()))
    subset.subset(face)
    to.parent.mkdir(exist_ok=True)
    face.recalcTimestamp = False
    face.save(to)
    return len(face.getGlyphOrder())


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("collection", type=Path)
    glyphs = make_font(arguments.parse_args().collection)
    print(f"{FONT.name}: {glyphs} glyphs, {FONT.stat().st_size/1e6:.2f} MB")

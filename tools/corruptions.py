"""Find the strengths of the corruptions of 22_corruptions, each at five similarities.

    python tools/corruptions.py

writes brain_tumor_nb/known/corruptions.csv: the strength of each severity, the similarity asked for
and the one reached, on every fourth slice of the sample (some minutes). Nothing else is needed.
"""
from brain_tumor_nb.core import write_rows
from brain_tumor_nb.corruptions import CALIBRATED, SIDE, TARGETS, calibrate
from brain_tumor_nb.data import MRIFolder, PixelStore, find_data
from rows import ROOT

TABLE = ROOT/"brain_tumor_nb/known/corruptions.csv"


def main():
    clean = PixelStore(MRIFolder(find_data("sample")), SIDE).pixels[::4].float()/255
    rows = []
    for name in CALIBRATED:
        for severity,target in enumerate(TARGETS, 1):
            strength,reached = calibrate(name, clean, target)
            rows.append(dict(corruption=name, severity=severity, strength=f"{strength:g}",
                             asked=target, reached=f"{reached:.3f}"))
            print(*rows[-1].values(), flush=True)
    write_rows(TABLE, rows)


if __name__ == "__main__":
    main()

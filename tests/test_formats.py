"DICOM and NIfTI: the same pixels, the same answer; no name leaves; bad files are one line."
import contextlib
import csv
import gzip
import io
import os
import random
import shutil
import subprocess
import sys
import time
import tracemalloc
import warnings
from collections import Counter
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from inside import refusal
from PIL import EpsImagePlugin, Image, UnidentifiedImageError
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian,
                         JPEG2000Lossless, MRImageStorage, RLELossless, generate_uid)

from brain_tumor_nb import cli, formats
from brain_tumor_nb.data import MRIFolder, PixelStore, find_data, read_image, read_mask

CANARY = "Kanarienvogel"
# the head alone, on real features: a network without weights says the same of every slice
QUICK = ("--freeze", "--weights", "offline", "--size", "64", "--epochs", "2", "--no-probes")


def dataset(pixels, **changes):
    "A DICOM dataset: 12 of 16 bits, a slope, an intercept, a window that shows grey 0 to 255."
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(None, {}, file_meta=meta, preamble=CANARY.encode().ljust(128, b"\0"))
    ds.PatientName, ds.PatientID = f"{CANARY}^Anna", f"{CANARY}-4711"
    ds.PatientBirthDate = "19310214"
    ds.InstitutionName, ds.StudyDescription = f"{CANARY} hospital", CANARY
    ds.ReferringPhysicianName, ds.ImageComments = CANARY, CANARY
    ds.StudyInstanceUID = ds.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.777"
    ds.private_block(0x0011, CANARY, create=True).add_new(1, "LO", CANARY)
    ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.RescaleSlope, ds.RescaleIntercept = 2, -10
    ds.WindowCenter, ds.WindowWidth = 30*255/2 - 9.5, 30*255 + 1
    ds.PixelData = (15*pixels.astype("<u2")).tobytes()
    for name, value in changes.items():
        setattr(ds, name, value)
    return ds


def content(ds):
    "A dataset as the content of a file."
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def by_gdcm(plain, syntax, folder):
    "A DICOM file, packed by gdcm."
    gdcm = pytest.importorskip("gdcm")
    (folder/"plain").write_bytes(plain)
    reader, writer = gdcm.ImageReader(), gdcm.ImageWriter()
    change = gdcm.ImageChangeTransferSyntax()
    reader.SetFileName(str(folder/"plain"))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(folder/"packed"))
    assert writer.Write()
    packed = pydicom.dcmread(folder/"packed")
    packed.RescaleSlope, packed.RescaleIntercept = 2, -10       # gdcm leaves them out of MR files
    return content(packed)


def rle(plain):
    ds = pydicom.dcmread(io.BytesIO(plain))
    ds.compress(RLELossless)
    return content(ds)


def as_volume(pixels):
    "A picture as the axes of a NIfTI file: left to right, back to front."
    return np.rot90(pixels, -1)[::-1, :, None]


def nifti(values, directions="RAS", sizes=(1, 1, 1), kind=nib.Nifti1Image):
    "The content of a NIfTI file whose axes are stored along `directions`."
    one = kind(values, np.diag([*sizes, 1]))
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"),
                                           nib.orientations.axcodes2ornt(directions))
    return one.as_reoriented(turn).to_bytes()


def wrapped(pixels, folder):
    "The same pixels in every format: ending to content."
    import gdcm
    plain = content(dataset(pixels))
    negative = content(dataset(255 - pixels, PhotometricInterpretation="MONOCHROME1"))
    volume = np.dstack([as_volume(p) for p in (0*pixels, pixels, 255 - pixels)])
    return {"plain.dcm": plain, "negative.dcm": negative, "rle.dcm": rle(plain),
            "jp2.dcm": by_gdcm(plain, gdcm.TransferSyntax.JPEG2000Lossless, folder),
            "lossless.dcm": by_gdcm(plain, gdcm.TransferSyntax.JPEGLosslessProcess14_1, folder),
            "ls.dcm": by_gdcm(plain, gdcm.TransferSyntax.JPEGLSLossless, folder),
            "no_extension": plain, "ras.nii": nifti(as_volume(pixels)),
            "las.nii.gz": gzip.compress(nifti(as_volume(pixels), "LAS")),
            "volume.nii.gz": gzip.compress(nifti(volume, "SPL")),
            "two.nii": nifti(as_volume(pixels), kind=nib.Nifti2Image),
            "flat.nii": nib.Nifti1Image(as_volume(pixels)[:, :, 0], np.eye(4)).to_bytes()}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    "8 slices of each of three classes of the sample as PNG, and all of them as DICOM."
    home = tmp_path_factory.mktemp("formats")
    for name in ("glioma", "meningioma", "pituitary"):
        for file in sorted((find_data("sample")/name).glob("*.png"))[:16:2]:
            for form in ("png", "dicom"):
                (home/form/name).mkdir(parents=True, exist_ok=True)
            pixels = np.asarray(Image.open(file))
            Image.fromarray(pixels).save(home/"png"/name/file.name)
            (home/"dicom"/name/file.name).with_suffix(".dcm").write_bytes(content(dataset(pixels)))
    return home


def status(*args):
    "What `btnb` ends with, in this process."
    try:
        cli.main([str(a) for a in args])
    except SystemExit as e:
        return e.code
    return 0


def test_the_same_pixels_get_the_same_probabilities(sample, tmp_path, capsys):
    "A run on PNG says the same of a slice in every format, to the last digit."
    assert status("train", sample/"png", "--out", tmp_path/"run", *QUICK) == 0
    files = sorted((sample/"png").glob("*/*.png"))[::8]
    for file in files:
        (tmp_path/file.stem).mkdir()
        for ending, data in wrapped(np.asarray(Image.open(file)), tmp_path).items():
            (tmp_path/file.stem/ending).write_bytes(data)
        (tmp_path/file.stem/"as.png").write_bytes(file.read_bytes())
    capsys.readouterr()
    assert status("predict", tmp_path/"run", *[tmp_path/f.stem for f in files]) == 0
    out = capsys.readouterr().out
    rows = [row for row in csv.reader(out.splitlines()) if len(row) == 6 and row[0] != "path"]
    assert len(rows) == 13*len(files) == 39, out
    for file in files:
        mine = [row[1:] for row in rows if f"/{file.stem}/" in row[0]]
        assert len(mine) == 13 and all(row == mine[0] for row in mine), file
    assert len({tuple(row[1:]) for row in rows}) == 3, "the network tells slices apart"


def test_a_folder_of_dicom_trains_like_one_of_png(sample, tmp_path):
    "The same pixels, the same network."
    folders = [MRIFolder(sample/form) for form in ("png", "dicom")]
    assert [[f.format for f in folder.facts[:1]] for folder in folders] == [["PNG"], ["DICOM"]]
    for i in range(len(folders[0])):
        assert folders[0].load(i).tobytes() == folders[1].load(i).tobytes()


def held(*folders):
    "What all files in these folders hold, and what they are called."
    files = [path for folder in folders for path in Path(folder).rglob("*") if path.is_file()]
    assert len(files) > 3
    return b"\n".join([*(path.read_bytes() for path in files),
                       *(str(path).encode() for path in files)])


def test_no_patient_leaves(sample, tmp_path, monkeypatch, capfd):
    "Name, number, date, hospital, private element, preamble, UIDs: in no file, line or store."
    monkeypatch.setenv("BRAIN_TUMOR_CACHE", str(tmp_path/"cache"))
    data, run = tmp_path/"data", tmp_path/"run"
    shutil.copytree(sample/"dicom", data)
    image = sorted(data.rglob("*.dcm"))[0]
    whole = image.read_bytes()
    secrets = [CANARY, "19310214", "1.2.826.0.1.3680043.8.498.777"]
    assert all(secret.encode() in whole for secret in secrets)
    bad, cut = data/"glioma"/"bad.dcm", data/"glioma"/"cut.dcm"
    bad.write_bytes(whole.replace(b"DS\x06\x00-10.0 ", b"DS\x06\x00Kanari"))
    assert bad.read_bytes() != whole
    cut.write_bytes(whole[:-100])
    PixelStore(MRIFolder(data), 32, budget=0)
    html, facts = tmp_path/"audit.html", tmp_path/"audit.json"
    assert status("train", data, "--out", run, *QUICK) == 0
    assert status("audit", data, "--html", html, "--json", facts) == 0
    assert status("predict", run, image, bad, cut) == 2
    assert status("explain", run, image, bad, "--out", tmp_path/"explained") == 2
    said = "".join(capfd.readouterr())
    assert "format DICOM" in said and "mode 12 bits" in said
    assert "bad.dcm: a damaged DICOM file" in said and "cut.dcm" in facts.read_text()
    assert list((tmp_path/"cache"/"stores").glob("*.u8")) and (run/"report.html").exists()
    everything = said.encode() + html.read_bytes() + facts.read_bytes()
    everything += held(run, tmp_path/"explained", tmp_path/"cache")
    for secret in secrets:
        assert secret.encode() not in everything, secret
    assert b"Kanari" not in everything
    assert CANARY.encode() in held(data), "the search finds what is there"


def test_pixels_are_all_that_is_read(sample):
    "No element of the patient is asked for, and the picture carries facts about the file alone."
    file = next((sample/"dicom").rglob("*.dcm"))
    ds = formats.open_dicom(file.read_bytes())
    assert {e.keyword for e in ds} <= set(formats._ELEMENTS)
    im = read_image(file)
    assert set(im.info) == {"sha256", "facts"} and CANARY not in repr(im.info)


def one_line(data):
    "How a file is refused: one short line of ours that quotes nothing; None if it is read."
    try:
        formats.decode(data, max_pixels=10**6)
        return None
    except formats.NoSlice as e:
        line = str(e)
    except Image.DecompressionBombError:
        line = "larger"
    except UnidentifiedImageError:
        line = "not an image"                           # as `read_image` says it
    assert "\n" not in line and CANARY not in line and len(line) < 150, line
    return line


def brick():
    "Pixels for files that are to be refused."
    return np.arange(64*48, dtype=np.uint8).reshape(48, 64)


def without(ds, *names):
    for name in names:
        delattr(ds, name)
    return ds


def deflated(zeros):
    "A DICOM file whose elements unpack to so many bytes."
    data = content(dataset(brick()))
    start = data.index(b"\x08\x00\x16\x00UI")
    ds = pydicom.dcmread(io.BytesIO(data))
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    head = content(ds)[:start + 8]
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    return head + pack.compress(data[start:] + bytes(zeros)) + pack.flush()


def refused():
    "Files that hold no slice, and a word of the line that says so."
    pixels = brick()
    plain = content(dataset(pixels))
    volume = nifti(as_volume(pixels).astype(np.int16))
    packed = pydicom.dcmread(io.BytesIO(rle(plain)))
    packed.PixelData = encapsulate([bytes(200_000)])
    def header(**changes):
        h = nib.Nifti1Image.from_bytes(volume).header
        for name, value in changes.items():
            h[name] = value
        return h.binaryblock + volume[348:]
    twice = dataset(pixels).PixelData*2
    yield "many frames", content(dataset(pixels, NumberOfFrames=2, PixelData=twice))
    writing = content(dataset(pixels, BurnedInAnnotation="YES"))
    for yes in (b"YES ", b"yes ", b" Yes"):                         # no other is by the standard
        yield "writing in its pixels", writing.replace(b"CS\x04\x00YES ", b"CS\x04\x00" + yes)
    floats = without(dataset(pixels), "PixelData", "BitsStored", "HighBit", "PixelRepresentation")
    floats.BitsAllocated, floats.FloatPixelData = 32, pixels.astype("<f4").tobytes()
    yield "floating-point pixels", content(floats)
    yield "without a picture", content(without(dataset(pixels), "PixelData"))
    yield "before its pixels do", content(dataset(pixels, Rows=4000))
    yield "larger", content(dataset(pixels, Rows=60000, Columns=60000))
    yield "damaged", content(without(dataset(pixels), "Rows"))
    yield "before its pixels do", plain[:-1]
    yield "without a picture", plain[:300]
    yield "not read here", deflated(10**8)
    yield "more pixels than", content(packed)
    packed.Rows = packed.Columns = 1000                             # 0.3 GB of runs in 4 MB
    starts = np.array([2, 64, 2_000_064] + [0]*13, "<u4").tobytes()
    packed.PixelData = encapsulate([starts + b"\x81\0"*2_000_000])
    yield "more pixels than", content(packed)
    with io.BytesIO() as out:                                       # 36 MB in 250 bytes
        Image.new("L", (6000, 6000)).save(out, "JPEG2000", no_jp2=True)
        packed.PixelData = encapsulate([out.getvalue()])
    packed.file_meta.TransferSyntaxUID = JPEG2000Lossless
    yield "more pixels than", content(packed)
    yield "damaged", plain.replace(b"US\x02\x00\x30\x00", b"LO\x02\x00XY")
    for name in ("test-SR.dcm", "rtplan.dcm", "rtstruct.dcm", "reportsi.dcm"):
        yield "without a picture", real(name)
    yield "save it uncompressed", real("JPGExtended.dcm")           # 12 bits: no decoder has it
    for name in ("rtdose.dcm", "SC_rgb_rle_2frame.dcm"):
        yield "many frames", real(name)
    yield "several volumes", nifti(np.zeros((4, 5, 6, 2), np.uint8))
    yield "colours or complex", nifti(np.zeros((4, 5, 6), np.complex64))
    yield "no pixel is a finite", nifti(np.full((4, 5, 1), np.nan, np.float32))
    yield "before its voxels do", header(dim=[3, 300, 30, 30, 1, 1, 1, 1])
    yield "more than", header(dim=[3, 30000, 30000, 30000, 1, 1, 1, 1])
    yield "without a slice", header(dim=[3, 0, 48, 1, 1, 1, 1, 1])
    yield "without a slice", header(dim=[3, -4, 48, 1, 1, 1, 1, 1])
    yield "a pair .hdr and .img", nib.Nifti1Pair(pixels, np.eye(4)).header.binaryblock
    yield "directions", header(srow_x=[0]*4, srow_y=[0]*4, srow_z=[0]*4)
    yield "damaged", header(srow_x=[np.nan]*4)
    yield "unpacks to more", gzip.compress(volume[:348] + bytes(50_000_000), 1)
    yield "damaged", gzip.compress(volume)[:-200]


def real(name):
    "The content of a file that comes with pydicom."
    file = get_testdata_file(name, download=False)
    if not file:
        pytest.skip(f"{name} does not come with pydicom {pydicom.__version__}")
    return Path(file).read_bytes()


@pytest.mark.parametrize("word,data", list(refused()), ids=lambda v: v[:40] if len(v) < 99 else "")
def test_no_slice(word, data, tmp_path):
    "Each file is refused in one line, without room for what it promises; the command says it."
    tracemalloc.start()
    line = one_line(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert line and word in line
    assert peak < 30e6, "room was made for what is not there"


def test_a_folder_of_bad_files_is_named_file_by_file(tmp_path):
    "The command says one line for each, and goes on with the others."
    bad = [data for _, data in refused()]
    for i, data in enumerate(bad):
        (tmp_path/f"{i:02}.dcm").write_bytes(data)
    for i, name in enumerate("ab"):
        (tmp_path/"set"/name).mkdir(parents=True)
        (tmp_path/"set"/name/"1.dcm").write_bytes(content(dataset(brick())))
    for file in tmp_path.glob("*.dcm"):
        shutil.copy(file, tmp_path/"set"/"a")
    folder = MRIFolder(tmp_path/"set", max_pixels=10**6)
    assert len(folder) == 2 and len(folder.bad) == len(bad)
    assert all(why and "\n" not in why and CANARY not in why for _, why in folder.bad)


def damaged(data, rng):
    "A file with a few other bytes, or cut off."
    data = bytearray(data)
    if rng.random() < .3:
        return bytes(data[:rng.randrange(len(data))])
    for _ in range(3):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def test_damage_is_one_line(tmp_path, capfd):
    "300 files damaged at random: none ends the process, says more than a line, or takes long."
    rng, files = random.Random(5), wrapped(brick(), tmp_path)
    files = {**files, **{name: real(name) for name in ("JPGExtended.dcm", "JPEG2000.dcm")}}
    capfd.readouterr()
    kinds = sorted(files)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        lines = Counter(one_line(damaged(files[kinds[i % len(kinds)]], rng)) for i in range(300))
    assert [w for w in warned if "PIL" not in w.filename] == []
    assert len(lines) > 5 and 0 < lines[None] < 200
    assert capfd.readouterr() == ("", "")


def test_gdcm_may_die(tmp_path):
    "A file that ends gdcm's process is refused, and the next one is read."
    gdcm = pytest.importorskip("gdcm")
    plain = content(dataset(brick()))
    good = by_gdcm(plain, gdcm.TransferSyntax.JPEGLosslessProcess14_1, tmp_path)
    assert one_line(good) is None
    server = formats._APART
    server.child.kill()
    server.child.wait()
    assert np.array_equal(np.asarray(formats.decode(good)), brick())
    large = bytearray(by_gdcm(plain, gdcm.TransferSyntax.JPEGLSLossless, tmp_path))
    large[large.index(b"\xff\xf7") + 5] = 255                       # 65,328 rows in place of 48
    assert "more pixels than" in one_line(bytes(large))
    bad = good.replace(b"\xff\xc3", b"\xff\xc2")                   # of another kind of JPEG
    assert one_line(bad) and one_line(good) is None


def test_a_process_apart_that_hangs_is_stopped(tmp_path):
    "After its time it is ended, the file is refused, and the next one is read by another."
    gdcm = pytest.importorskip("gdcm")
    syntax = gdcm.TransferSyntax.JPEGLosslessProcess14_1
    good = by_gdcm(content(dataset(brick())), syntax, tmp_path)
    server = formats.PixelServer(seconds=.5)
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    hangs = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], **pipes)
    server.child, server.owner = hangs, os.getpid()
    start = time.monotonic()
    with pytest.raises(formats.NoSlice, match="cannot be unpacked"):
        server.ask(good)
    assert .4 < time.monotonic() - start < 20 and hangs.wait(10)
    server.seconds = 60
    assert np.array_equal(server.ask(good), 15*brick().astype(int))
    server.stop()


@pytest.mark.parametrize("missing,file", [("pydicom", "plain.dcm"), ("gdcm", "lossless.dcm")])
def test_what_is_missing_is_named(missing, file, tmp_path, monkeypatch):
    "Without the extra `dicom` the line says how to get it."
    data = wrapped(brick(), tmp_path)[file]
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == missing else True)
    assert 'pip install "brain_tumor_nb[dicom]"' in one_line(data)


def test_pictures_need_none_of_it(sample):
    "A folder of PNG loads neither pydicom nor nibabel nor gdcm."
    code = ("import sys; from brain_tumor_nb.formats import decode, is_picture; "
            "decode(open(sys.argv[1], 'rb').read()); "
            "print({'pydicom', 'nibabel', 'gdcm', 'torch'} & set(sys.modules))")
    file = next((sample/"png").rglob("*.png"))
    done = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stdout + done.stderr


REAL = ("MR_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_padded.dcm",
        "MR_small_expb.dcm")


@pytest.mark.parametrize("name", REAL)
def test_real_files(name):
    "One slice of a scanner, packed in eight ways, is one picture, as pydicom's window shows it."
    ds = pydicom.dcmread(io.BytesIO(real(name)))
    low, high = ds.WindowCenter - .5 - (ds.WindowWidth - 1)/2, ds.WindowWidth - 1
    signal = pydicom.dcmread(io.BytesIO(real("MR_small.dcm"))).pixel_array
    expected = np.round(255*np.clip((signal - low)/high, 0, 1))
    assert np.array_equal(np.asarray(formats.decode(real(name))), expected)


@pytest.mark.parametrize("name,size", [
    ("examples_rgb_color.dcm", (320, 240)), ("examples_jpeg2k.dcm", (640, 480)),
    ("examples_palette.dcm", (800, 350)), ("SC_rgb_jpeg_dcmtk.dcm", (100, 100)),
    ("SC_rgb_rle_16bit.dcm", (100, 100)), ("SC_rgb_rle_32bit.dcm", (100, 100)),
    ("JPEG2000.dcm", (256, 1024)), ("GDCMJ2K_TextGBR.dcm", (400, 400)),
    ("liver_1frame.dcm", (512, 512)), ("CT_small.dcm", (128, 128)),
    ("SC_rgb_jls_lossy_line.dcm", (100, 100)), ("SC_ybr_full_422_uncompressed.dcm", (100, 100))])
def test_other_real_files(name, size):
    "Colours, palettes, one bit, CT."
    im = formats.decode(real(name))
    assert im.size == size and im.mode == "L" and np.asarray(im).std() > 2


def table(kind, bits, values):
    "A look-up table with a number of so many bits for each of the 12 stored bits."
    item = Dataset()
    item.LUTDescriptor = [4096, 0, bits]
    data = np.minimum(np.round(values), 2**bits - 1)
    item.add_new("LUTData", "US", data.astype(int).tolist())
    if kind == "Modality":
        item.ModalityLUTType = "US"
    return {f"{kind}LUTSequence": [item]}


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_white_of_a_table(bits):
    "White is what the bits of a table hold: neither its maximum nor the 12 bits of the pixels."
    white = 2**bits - 1
    for top in (1, .25):                                            # a dark slice stays dark
        voi = table("VOI", bits, top*white*np.arange(4096)/(15*255))
        ds = dataset(brick(), **voi, WindowCenter=None, WindowWidth=None, RescaleSlope=None,
                     RescaleIntercept=None)
        found = np.asarray(formats.decode(content(ds))).astype(int)
        assert abs(found - top*brick()).max() <= 1, (bits, top)
    ds.VOILUTSequence[0].LUTDescriptor = [4096, 0, 0]
    assert "without a scale" in one_line(content(ds))


def test_headers_that_state_nonsense():
    "A window of no width is none, and one number is no spacing: neither is damage."
    plain = dataset(brick(), WindowCenter=None, WindowWidth=None)
    none = np.asarray(formats.decode(content(plain)))
    for changes in (dict(WindowWidth=0), dict(WindowWidth=[0, 100], WindowCenter=[0, 100]),
                    dict(WindowWidth=-3, VOILUTFunction="SIGMOID"), dict(WindowWidth=.5)):
        data = content(dataset(brick(), **changes))
        assert np.array_equal(np.asarray(formats.decode(data)), none), changes
    exact = dataset(brick(), WindowWidth=.5, VOILUTFunction="LINEAR_EXACT")
    assert np.unique(formats.decode(content(exact))).tolist() == [0, 255]
    assert formats.decode(content(dataset(brick(), PixelSpacing=2))).size == (64, 48)


@pytest.mark.parametrize("reader,data", [("read_dicom", content(dataset(np.eye(9)))),
                                         ("read_nifti", nifti(np.eye(9)[..., None])),
                                         ("read_picture", b"")], ids=["DICOM", "NIfTI", "picture"])
def test_too_little_memory_is_no_damage(reader, data, monkeypatch):
    "The line says what there is too little of."
    def full(*_):
        raise MemoryError
    monkeypatch.setattr(formats, reader, full)
    assert "memory that is free" in one_line(data)


def test_tables_in_place_of_a_line(sample):
    "Signal by a table, a window by a table, a sigmoid: as pydicom has them."
    pixels = np.asarray(Image.open(next((sample/"png").rglob("*.png"))))
    none = dict(RescaleSlope=None, RescaleIntercept=None)
    signal = dataset(pixels, **none, **table("Modality", 16, np.arange(4096)*2),
                     WindowCenter=30*255/2 + .5)
    assert np.array_equal(np.asarray(formats.decode(content(signal))), pixels)
    shown = dataset(pixels, **none, **table("VOI", 8, np.arange(4096)/15),
                    WindowCenter=None, WindowWidth=None)
    assert np.array_equal(np.asarray(formats.decode(content(shown))), pixels)
    smooth = dataset(pixels, VOILUTFunction="SIGMOID", WindowWidth=2000)
    share = 1/(1 + np.exp(-4*(30.*pixels - 10 - smooth.WindowCenter)/2000))
    assert np.array_equal(np.asarray(formats.decode(content(smooth))), np.round(255*share))


def anatomy():
    "A volume without any symmetry: numbers [X,Y,Z] from left, back, bottom."
    return np.random.default_rng(3).integers(0, 900, (7, 8, 9)).astype(np.int16)


@pytest.mark.parametrize("directions", ["LAS", "LPS", "PIR", "SAL", "ASR"])
def test_one_head_stored_in_several_ways(directions):
    "Whatever the order of its axes, a volume gives the picture of the one stored as RAS."
    for kind in (nib.Nifti1Image, nib.Nifti2Image):
        ours = formats.decode(nifti(anatomy(), directions, kind=kind))
        theirs = formats.decode(nifti(anatomy()))
        assert ours.tobytes() == theirs.tobytes() and ours.size == (7, 8)


def test_the_radiologists_view():
    "The patient's left is on the right, the front is up, and the middle is cut."
    head = np.zeros((20, 24, 16), np.float32)
    head[2:5, 19:22, 8] = 100                                       # left, front, in the middle
    y, x = np.argwhere(np.asarray(formats.decode(nifti(head, "LPS"))) > 0).mean(0)
    assert x > 14 and y < 5


def test_numbers_of_a_volume(tmp_path):
    "Big-endian, a slope, values that are no numbers; the scale is that of the whole volume."
    steps = anatomy()
    big = nib.Nifti1Image(steps, np.eye(4), nib.Nifti1Header(endianness=">"))
    assert formats.decode(big.to_bytes()).tobytes() == formats.decode(nifti(steps)).tobytes()
    holes = steps.astype(np.float32)
    holes[0, 0, 4], holes[1, 0, 4] = np.nan, np.inf
    assert np.asarray(formats.decode(nifti(holes)))[-1, -2:].tolist() == [255, 0]
    scaled = nib.Nifti1Image(steps*2.5, np.eye(4))
    scaled.header.set_data_dtype(np.int16)
    close = np.asarray(formats.decode(scaled.to_bytes())).astype(int)
    assert abs(close - np.asarray(formats.decode(nifti(steps)))).max() <= 1
    dim = steps.copy()
    dim[:, :, 4] //= 4
    assert np.asarray(formats.decode(nifti(dim))).max() < 80


def picture(form, im, **options):
    "A picture as the content of a file."
    out = io.BytesIO()
    im.save(out, form, **options)
    return out.getvalue()


@pytest.mark.skipif(sys.platform == "win32", reason="gs would be an .exe")
def test_no_program_is_started(tmp_path, monkeypatch):
    "Pillow starts Ghostscript for PostScript; a file that only claims to be a PNG does not."
    started = tmp_path/"started"
    (tmp_path/"gs").write_text(f"#!/bin/sh\ntouch '{started}'\n")
    (tmp_path/"gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    with contextlib.suppress(OSError), Image.open(io.BytesIO(eps)) as im:
        im.load()
    assert started.exists(), "the trap works"
    started.unlink()
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    assert one_line(eps) == "not an image" and not started.exists()


def test_pages_of_a_picture():
    "A file of several pages is refused; a JPEG with a preview, as telephones make it, is read."
    first, second = Image.fromarray(brick()), Image.fromarray(255 - brick())
    both = dict(save_all=True, append_images=[second])
    for form in ("TIFF", "PNG", "WEBP"):
        assert one_line(picture(form, first)) is None
        assert "several pages" in one_line(picture(form, first, **both)), form
    phone = formats.decode(picture("MPO", first.convert("RGB"), **both))
    assert phone.info["facts"].format == "MPO"
    assert abs(np.asarray(phone).astype(int) - brick()).max() < 20


@pytest.mark.parametrize("kind,white", [(np.uint8, 255), (np.uint16, 65535)])
def test_a_negative_of_a_tiff(kind, white):
    "Where white is 0 (tag 262), a TIFF of 8 and one of 16 bits are turned round."
    grey = brick().astype(kind)*(white//255)
    grey[0, :2] = 0, white
    stored = picture("TIFF", Image.fromarray(white - grey), tiffinfo={262: 0})
    if kind == np.uint8:                                # Pillow turns these, writing and reading
        stored = picture("TIFF", Image.fromarray(grey), tiffinfo={262: 0})
    assert np.array_equal(np.asarray(formats.decode(stored)), grey//(white//255))


def test_a_volume_takes_little_room(recwarn):
    "Millions of header extensions are not looked at, and a slope makes no double of the voxels."
    plain = nifti(anatomy())
    many = bytearray(plain[:352] + (16).to_bytes(4, "little")*4*200_000 + plain[352:])
    many[348] = 1
    many[108:112] = np.float32(352 + 16*200_000).tobytes()          # where the voxels begin
    scaled = nib.Nifti1Image(np.zeros((100, 100, 100), np.uint8), np.eye(4)).to_bytes()
    scaled = bytearray(scaled)
    scaled[112:120] = np.float32([2.5, -7]).tobytes()               # slope and intercept
    for data, most in ((bytes(many), 5e6), (bytes(scaled), 10e6)):
        packed = gzip.compress(data)
        tracemalloc.start()
        found = formats.read_volume(packed, 10**6)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < len(data) + most, f"{peak/1e6:.1f} MB"
        if data == many:
            assert np.array_equal(found.values, anatomy())
    assert (found.values == -7).all() and found.values.dtype == np.float32
    assert [str(w.message) for w in recwarn] == []


def test_a_mask_may_be_nifti(tmp_path):
    "A lesion as ones in a volume of zeros marks what it marks, in any kind of number."
    for kind in (np.uint8, np.int16, np.float32):
        mask = np.zeros((7, 8, 1), kind)
        mask[1, 6] = 1
        (tmp_path/"mask.nii").write_bytes(nifti(mask))
        found = read_mask(tmp_path/"mask.nii", (7, 8))
        assert np.argwhere(found).tolist() == [[1, 5]]


def test_slices_are_cut_where_the_lesion_is(tmp_path, capsys):
    "`btnb slices` writes slices and masks that a folder can be made of; its slips are one line."
    steps, lesion = anatomy(), np.zeros((7, 8, 9), np.uint8)
    lesion[2:4, 3, 6], lesion[2, 3, 5] = 1, 1
    for name, values in (("head.nii.gz", steps), ("mask.nii.gz", lesion)):
        (tmp_path/name).write_bytes(gzip.compress(nifti(values, "LPS")))
    args = (tmp_path/"head.nii.gz", "--mask", tmp_path/"mask.nii.gz", "--out", tmp_path/"cut")
    assert status("slices", *args, "--count", 5) == 0
    names = [Path(line).name for line in capsys.readouterr().out.splitlines()]
    assert names == ["head-axial-005.png", "head-axial-006.png"]
    marked = np.asarray(Image.open(tmp_path/"cut"/"head-axial-006_mask.png"))
    assert np.array_equal(marked, np.rot90(lesion[::-1, :, 6] > 0))
    assert "give 0 to 7" in refusal("slices", args[0], "--plane", "coronal", "--at", 8)
    (tmp_path/"no.nii").write_bytes(b"nothing")
    assert "no.nii: not a NIfTI file" in refusal("slices", tmp_path/"no.nii")


def test_slices_of_two_patients_are_not_mixed(tmp_path):
    "Two volumes of the same name: the second is refused whole, as is the mask of the first."
    lesion = np.uint8(anatomy() > 899 - 200)
    for name, values in (("a", anatomy()), ("b", 900 - anatomy()), ("mask", lesion)):
        (tmp_path/name).mkdir()
        (tmp_path/name/"t1.nii").write_bytes(nifti(values))
    out, mask = tmp_path/"cut", ("--mask", tmp_path/"mask"/"t1.nii")
    for _ in range(2):                                              # again is no clash
        assert status("slices", tmp_path/"a"/"t1.nii", "--out", out, "--at", 4, *mask) == 0
    before = {f: f.read_bytes() for f in out.iterdir()}
    assert sorted(f.name for f in before) == ["t1-axial-004.png", "t1-axial-004_mask.png"]
    line = refusal("slices", tmp_path/"b"/"t1.nii", "--out", out, "--count", 5)
    assert "t1-axial-004.png: is there already" in line and "give another folder" in line
    assert before == {f: f.read_bytes() for f in out.iterdir()}, "nothing half written"
    (out/"t1-axial-004.png").unlink()
    assert "004_mask.png" in refusal("slices", tmp_path/"b"/"t1.nii", "--out", out, "--at", 4)
    assert status("slices", tmp_path/"b"/"t1.nii", "--out", tmp_path/"cut_b", "--at", 4) == 0

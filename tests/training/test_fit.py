"""The fit loop: against a plain torch loop, resumed to the bit, stopped when it diverges, learning what is there."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from toy_training import TOY, frozen, images_and_labels

from als_core.models.stages import IMAGENET_SCALING
from als_core.training import fit as fit_module
from als_core.training.epochs import HISTORY, Diverged, epoch_generator, raise_if_not_finite
from als_core.training.features import as_input, frozen_inputs, image_inputs
from als_core.training.fit import class_scores, first_run_stage, fit
from als_core.training.recipe import Plateau

CPU = torch.device("cpu")
IMAGES, NUMBERS = images_and_labels()
LABELS = torch.from_numpy(NUMBERS)
TRAIN, VALIDATION = torch.arange(0, 29), torch.arange(29, 45)
# what the released code does: nothing cached, dropout, mirrored images, batch norm that follows the batches, a plateau
RELEASED_LIKE = replace(TOY, batch_norm="train", flip=True, plateau=Plateau(0.5, 1e-6, patience=1))


def inputs_of(recipe, network):
    prefix = network.stages[: first_run_stage(recipe, network)]
    if not len(prefix):
        return image_inputs([IMAGES], IMAGENET_SCALING, network.stages[0][0].weight.dtype, CPU)
    return frozen_inputs(prefix, [IMAGES], IMAGENET_SCALING, device=CPU, folder=None)


def run(recipe=TOY, seed=1, dropout=0.0, dtype=torch.float32, validation=VALIDATION, **more):
    network = frozen(seed, recipe, dtype, dropout=dropout)
    inputs = inputs_of(recipe, network)
    return network, fit(recipe, network, inputs, LABELS, TRAIN, validation, seed, **more)


@pytest.mark.parametrize("checkpoint", ["best validation", "last epoch"])
def test_the_loop_is_the_plain_loop_in_double_precision(checkpoint):
    """History, chosen epoch and weights against an Adam loop over whole images, batch norm frozen."""
    network, fitted = run(replace(TOY, checkpoint=checkpoint), dtype=torch.float64)
    plain = frozen(1, TOY, torch.float64).eval()
    scaled = as_input(torch.from_numpy(IMAGES), IMAGENET_SCALING, torch.float64)
    optimiser = torch.optim.Adam(
        [each for each in plain.parameters() if each.requires_grad],
        TOY.learning_rate,
        weight_decay=TOY.weight_decay,
    )
    rows_of_history, states = [], []
    for epoch in range(1, TOY.epochs + 1):
        order = TRAIN[torch.randperm(len(TRAIN), generator=epoch_generator(1, epoch))]
        loss_sum = right = 0
        for rows in order.split(TOY.batch_size):
            scores = plain(scaled[rows])
            loss = cross_entropy(scores, LABELS[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss_sum += loss.item() * len(rows)
            right += (scores.argmax(1) == LABELS[rows]).sum().item()
        scores = plain(scaled[VALIDATION]).detach()
        accuracy = (scores.argmax(1) == LABELS[VALIDATION]).double().mean().item()
        validation_loss = cross_entropy(scores, LABELS[VALIDATION]).item()
        rows_of_history.append(
            [epoch, loss_sum / 29, right / 29, validation_loss, accuracy, TOY.learning_rate]
        )
        states.append({name: tensor.clone() for name, tensor in plain.state_dict().items()})
    assert tuple(fitted.history) == HISTORY
    np.testing.assert_allclose(fitted.history, rows_of_history, atol=1e-12)
    best = np.argmax([row[4] for row in rows_of_history])  # the first of equals
    assert best + 1 < TOY.epochs
    chosen = best if checkpoint == "best validation" else TOY.epochs - 1
    assert fitted.chosen_epoch == chosen + 1
    for name, tensor in network.state_dict().items():
        assert (tensor - states[chosen][name]).abs().max() < 1e-12, name


def test_earliest_of_equal_epochs_and_last_epoch_by_rule():
    recipe = replace(TOY, epochs=25, learning_rate=3e-2)
    _, fitted = run(recipe)
    accuracy = fitted.history["validation_accuracy"]
    assert accuracy.max() > 0.9 and (accuracy == accuracy.max()).sum() > 1  # it learns, and there are equals
    assert fitted.chosen_epoch == accuracy.argmax() + 1 < recipe.epochs
    last = replace(recipe, checkpoint="last epoch")
    assert run(last, validation=VALIDATION[:0])[1].chosen_epoch == recipe.epochs


@pytest.mark.parametrize("recipe", [TOY, RELEASED_LIKE], ids=["frozen", "batches followed"])
def test_frozen_statistics_move_only_where_the_recipe_says(recipe):
    before, (after, _) = frozen(1, recipe), run(recipe)
    moved = not torch.equal(before.stages.body[1].running_mean, after.stages.body[1].running_mean)
    assert moved == (recipe.batch_norm == "train")
    assert torch.equal(before.stages.body[0].weight, after.stages.body[0].weight)
    assert not torch.equal(before.stages.head.weight, after.stages.head.weight)
    assert not any(module.training for module in after.modules())


@pytest.mark.parametrize(
    ("recipe", "dropout"),
    [(TOY, 0.0), (RELEASED_LIKE, 0.5), (replace(TOY, checkpoint="last epoch"), 0.0)],
    ids=["gate", "all at once", "last epoch"],
)
@pytest.mark.parametrize("stopped_in", [1, 3, 4])
def test_an_interrupted_run_ends_with_the_same_bits(recipe, dropout, stopped_in, tmp_path, monkeypatch):
    whole, fitted = run(recipe, dropout=dropout)

    def killed(seed, epoch):
        if epoch == stopped_in + 1:
            raise KeyboardInterrupt
        return epoch_generator(seed, epoch)

    state = tmp_path / "state.pt"
    monkeypatch.setattr(fit_module, "epoch_generator", killed)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, dropout=dropout, state=state, save_every=2)
    assert state.exists() == (stopped_in > 1)
    if state.exists():  # weights that come last anyway are held once
        kept = torch.load(state, weights_only=True)["progress"]["kept"]
        assert (kept is None) == (recipe.checkpoint == "last epoch")
    monkeypatch.setattr(fit_module, "epoch_generator", epoch_generator)
    torch.rand(5)  # drawn by the process in the meantime
    resumed, again = run(recipe, dropout=dropout, state=state, save_every=2)
    assert again.history.equals(fitted.history) and again.chosen_epoch == fitted.chosen_epoch
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_the_global_generators_are_left_alone():
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    run(RELEASED_LIKE, dropout=0.5)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002


def test_a_plateau_lowers_the_learning_rate_and_seeds_differ():
    _, fitted = run(replace(RELEASED_LIKE, epochs=40))
    rates = fitted.history["learning_rate"]
    assert rates.iloc[0] == TOY.learning_rate and rates.iloc[-1] < TOY.learning_rate
    assert not run(seed=2)[1].history.equals(run(seed=1)[1].history)


def test_a_diverging_run_stops_with_recipe_seed_and_epoch():
    with pytest.raises(Diverged, match=r"Toy .*seed 1: training loss .* in epoch \d+") as stopped:
        run(replace(TOY, learning_rate=1e4, epochs=50, weight_decay=0.0))
    assert stopped.value.epoch <= 50


@pytest.mark.parametrize(("what", "values"), [("weight", [1.0, np.nan]), ("validation score", [np.inf, 0.0])])
def test_a_non_finite_value_is_named_for_what_it_is(what, values):
    """A loss that is finite is not said to be NaN where a weight or a score is not finite."""
    with pytest.raises(Diverged, match=f"Toy, seed 3: 1 of 2 {what}s not finite in epoch 7") as stopped:
        raise_if_not_finite("Toy", 3, 7, torch.tensor(values), what)
    assert "loss" not in str(stopped.value)
    raise_if_not_finite("Toy", 3, 7, torch.zeros(2), what)


def test_no_validation_part_and_a_rule_that_needs_one_is_refused():
    with pytest.raises(ValueError, match="validation samples"):
        run(validation=VALIDATION[:0])


def test_reduced_precision_changes_scores_a_little():
    (exact, _), (reduced, _) = run(), run(replace(TOY, precision="bf16"))
    everything = torch.arange(45)
    scores = [class_scores(TOY, network, inputs_of(TOY, network), everything) for network in (exact, reduced)]
    difference = (scores[0] - scores[1]).abs().max()
    assert 0 < difference < 0.2 and reduced.stages.head.weight.dtype == torch.float32

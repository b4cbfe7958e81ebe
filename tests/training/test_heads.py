"""Heads trained together against a plain torch loop, one after the other; and chance where nothing is to learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toy_training import HEAD_ONLY

from als_core.training.epochs import Diverged, epoch_generator
from als_core.training.heads import stacked, train_heads, unstacked

N, FEATURES, CLASSES, SEEDS = 70, 12, 3, (0, 5, 9)
TRAIN, VALIDATION = torch.arange(0, 41), torch.arange(41, 70)  # 41 = 5 x 8 + 1: the last batch is one image
RECIPE = replace(HEAD_ONLY, epochs=20, learning_rate=1e-2, weight_decay=8e-2)


def made(effect: float = 1.0):
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, CLASSES, (N,), generator=generator)
    features = torch.randn(N, FEATURES, generator=generator)
    features[:, :CLASSES] += effect * nn.functional.one_hot(labels, CLASSES)
    return features, labels


def linear(seed: int) -> nn.Linear:
    head = nn.Linear(FEATURES, CLASSES)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.uniform_(-0.3, 0.3, generator=torch.Generator().manual_seed(seed))
    return head


def plain_loop(features, labels, seed):
    head = linear(seed)
    optimiser = torch.optim.Adam(head.parameters(), RECIPE.learning_rate, weight_decay=RECIPE.weight_decay)
    curves, best, kept = [], -1.0, None
    for epoch in range(1, RECIPE.epochs + 1):
        order = TRAIN[torch.randperm(len(TRAIN), generator=epoch_generator(seed, epoch))]
        loss_sum = right = 0
        for rows in order.split(RECIPE.batch_size):
            scores = head(features[rows])
            loss = nn.functional.cross_entropy(scores, labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss_sum += loss.item() * len(rows)
            right += (scores.argmax(1) == labels[rows]).sum().item()
        with torch.no_grad():
            scores = head(features[VALIDATION])
        accuracy = (scores.argmax(1) == labels[VALIDATION]).sum().item() / len(VALIDATION)
        if accuracy > best:
            best, kept, chosen = accuracy, {k: v.clone() for k, v in head.state_dict().items()}, epoch
        loss = nn.functional.cross_entropy(scores, labels[VALIDATION]).item()
        curves.append([loss_sum / len(TRAIN), right / len(TRAIN), loss, accuracy])
    return np.array(curves), kept, chosen


def together(features, labels, recipe=RECIPE, seeds=SEEDS, **more):
    starts = stacked([linear(seed) for seed in seeds])
    arguments = {"train": TRAIN, "validation": VALIDATION} | more
    return train_heads(recipe, features, labels, arguments["train"], arguments["validation"], starts, seeds)


def test_all_heads_at_once_equal_the_plain_loop():
    features, labels = made()
    found = together(features, labels)
    for place, seed in enumerate(SEEDS):
        curves, kept, chosen = plain_loop(features, labels, seed)
        history = found.histories[place]
        accuracies = history[["train_accuracy", "validation_accuracy"]].to_numpy()
        np.testing.assert_array_equal(accuracies, curves[:, [1, 3]])
        np.testing.assert_allclose(history[["train_loss", "validation_loss"]], curves[:, [0, 2]], rtol=1e-5)
        assert found.chosen_epochs[place] == chosen
        for name, tensor in unstacked(found.weights[place]).items():
            assert (tensor - kept[name]).norm() / kept[name].norm() < 1e-6
        scores = nn.functional.linear(features, kept["weight"], kept["bias"])
        torch.testing.assert_close(found.scores(features)[place], scores, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("features_count", [FEATURES, 512])
def test_a_head_has_the_same_bits_in_any_company(features_count):
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(N, features_count, generator=generator), made()[1]
    starts = torch.randn(5, features_count + 1, CLASSES, generator=generator)

    def company(count):
        return train_heads(RECIPE, features, labels, TRAIN, VALIDATION, starts[:count], range(count))

    five = company(5)
    for count in (1, 2, 3):
        fewer = company(count)
        assert torch.equal(fewer.weights, five.weights[:count])
        assert all(a.equals(b) for a, b in zip(fewer.histories, five.histories[:count], strict=True))


def test_the_last_epoch_is_kept_where_the_rule_says_so():
    features, labels = made()
    rule = replace(RECIPE, checkpoint="last epoch")
    without = together(features, labels, rule, validation=TRAIN[:0])
    assert (without.chosen_epochs == RECIPE.epochs).all()
    assert np.isnan(without.histories[0]["validation_accuracy"]).all()
    assert torch.equal(without.weights, together(features, labels, rule).weights)


def test_labels_and_rows_can_be_a_heads_own():
    features, labels = made()
    shuffled = labels[torch.randperm(N, generator=torch.Generator().manual_seed(3))]
    rows = torch.stack([TRAIN, TRAIN.flip(0), TRAIN + 20])
    both = together(features, torch.stack([labels, shuffled, labels]), train=rows)
    alone = together(features, shuffled, train=rows[1], seeds=(5,))
    torch.testing.assert_close(both.weights[1], alone.weights[0], rtol=1e-5, atol=1e-6)


def test_a_strong_effect_is_learnt_and_none_stays_at_chance():
    learnt = together(*made(effect=4.0)).histories[0]["validation_accuracy"].iloc[-1]
    assert learnt > 0.9
    count = 60
    generator = torch.Generator().manual_seed(7)
    labels = torch.randint(0, CLASSES, (count, N), generator=generator)
    features = torch.randn(N, FEATURES, generator=generator)
    seeds, last = range(count), replace(RECIPE, checkpoint="last epoch")
    heads = train_heads(last, features, labels, TRAIN, VALIDATION, stacked([linear(s) for s in seeds]), seeds)
    right = (heads.scores(features).argmax(2) == labels)[:, VALIDATION].double().mean(1)
    assert abs(right.mean() - 1 / 3) < 3 * right.std() / count**0.5


def test_a_diverging_head_stops_with_recipe_seed_and_epoch():
    features, labels = made()
    features[3] = float("nan")
    with pytest.raises(Diverged, match=r"Toy head .*seed 0: training loss nan in epoch 1"):
        together(features, labels)


def test_what_heads_cannot_do_is_refused():
    features, labels = made()
    with pytest.raises(ValueError, match="mirrored"):
        together(features, labels, replace(RECIPE, flip=True))
    with pytest.raises(ValueError, match="validation samples"):
        together(features, labels, validation=TRAIN[:0])

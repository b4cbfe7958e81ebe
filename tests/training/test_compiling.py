"""A compiled training step: the same run as the other form, and a refusal where there is nothing to compile with."""

from dataclasses import replace

import pytest
import torch
from test_fit import run
from toy_training import TOY

from als_core.refusal import RefusedInput
from als_core.training import compiling
from als_core.training.compiling import maybe_compile
from als_core.training.recipe import RECIPES

COMPILED = replace(TOY, compiled=True, epochs=3)
LEFT_OVER = 29 % TOY.batch_size  # images of the toy's training part that make no whole batch


def test_a_compiled_run_is_the_run(monkeypatch):
    """Histories and weights in double precision; every whole batch goes through the compiled form and no other."""
    if compiling._missing_compiler():
        pytest.skip("no C++ compiler on this machine")
    sizes, compile_of = [], torch.compile

    def counted(running, **options):
        form = compile_of(running, **options)
        return lambda batch: sizes.append(len(batch)) or form(batch)

    monkeypatch.setattr(torch, "compile", counted)
    (network, fitted), (compiled, again) = (
        run(r, dtype=torch.float64) for r in (replace(TOY, epochs=3), COMPILED)
    )
    assert LEFT_OVER and sizes == [TOY.batch_size] * (3 * (29 // TOY.batch_size))
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[name], tensor, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(
        torch.tensor(again.history.to_numpy()),
        torch.tensor(fitted.history.to_numpy()),
        rtol=1e-10,
        atol=1e-11,
    )


def test_without_a_compiler_it_is_refused_before_training(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(RefusedInput, match=r"g\+\+ or clang\+\+.*Install one"):
        run(COMPILED)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RefusedInput, match="no-such-compiler"):
        run(COMPILED)
    assert maybe_compile(TOY, running := torch.nn.Identity()) is running  # asked for nothing, needs nothing


def test_a_compiled_recipe_says_so_and_has_a_key_of_its_own():
    own = RECIPES["miniset_densesenet"]
    compiled = replace(own, compiled=True)
    assert "compiled" in compiled.title and compiled.as_data() != own.as_data()

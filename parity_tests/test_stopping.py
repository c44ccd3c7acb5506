"""What changes from epoch to epoch, in the frameworks' own loops: plateaus, stopping, a curriculum, unfreezing."""

from __future__ import annotations

import contextlib
import copy
import io
import math
import unittest
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import torch
from diglot.core import registry
from diglot.core.errors import InputError, SpecError
from diglot.core.noise import generator
from diglot.keras_impl.groups import grouped
from diglot.keras_impl.techniques import curriculum as keras_curriculum
from diglot.keras_impl.techniques import early_stopping as keras_stopping
from diglot.keras_impl.techniques import progressive_unfreezing as keras_unfreezing
from diglot.keras_impl.techniques import reduce_on_plateau as keras_plateau
from diglot.torch_impl.techniques import curriculum as torch_curriculum
from diglot.torch_impl.techniques import early_stopping as torch_stopping
from diglot.torch_impl.techniques import progressive_unfreezing as torch_unfreezing
from diglot.torch_impl.techniques import reduce_on_plateau as torch_plateau
from parameterized import parameterized
from torch import nn

METRICS = (3.0, 2.0, 2.5, 1.5, 1.75, 1.625, 1.5, 1.875, 1.25, 1.5)


class Scripted(keras.Model):
    """A model of one weight, which counts its steps, and whose held-out loss is the next of a list."""

    def __init__(self, losses: Any = METRICS) -> None:
        super().__init__()
        self.weight = self.add_weight(shape=(1,), initializer="zeros", name="weight")
        self.losses_to_come = list(losses)
        self.compile(keras.optimizers.SGD(0.5), run_eagerly=True)

    def train_step(self, data: Any) -> dict[str, Any]:
        self.weight.assign_add(keras.ops.ones(1))
        return {"loss": self.weight[0]}

    def evaluate(self, *args: Any, **options: Any) -> dict[str, float]:
        return {"loss": self.losses_to_come.pop(0)}

    def train(self, epochs: int, callbacks: list[Any], first: int = 0) -> keras.callbacks.History:
        data = np.zeros((1, 1))
        return self.fit(data, data, epochs=epochs, initial_epoch=first, validation_data=(data, data), verbose=0,
                        callbacks=callbacks)  # fmt: skip


def refused(test: unittest.TestCase, kind: type[Exception], call: Any, *args: Any, **options: Any) -> str:
    with test.assertRaises(kind) as caught:
        call(*args, **options)
    test.assertEqual(len(str(caught.exception).splitlines()), 1)
    return str(caught.exception)


def drive(callback: Any, values: Any) -> tuple[int, int, float]:
    """As `fit` calls it: the epochs that were run, the best one, and the weight at the end, which counts epochs."""
    model, epochs = Scripted(), 0
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        model.weight.assign([epoch + 1.0])
        callback.on_epoch_end(epoch, {"val_loss": value})
        epochs += 1
        if model.stop_training:
            break
    callback.on_train_end()
    return epochs, callback.best_epoch, float(model.weight[0])


def line() -> nn.Linear:
    return nn.Linear(1, 1, bias=False)


class EarlyStops(unittest.TestCase):
    @parameterized.expand([(True, 4.0), (False, 7.0)])
    def test_in_fit(self, restores: bool, weight: float) -> None:
        """The fourth epoch is the best, and three are not better."""
        spec, model = registry.make("early_stopping", patience=3, restore_best=restores), Scripted()
        history = model.train(10, [keras_stopping.build(spec)])
        self.assertEqual(history.epoch, list(range(7)))
        self.assertEqual(float(model.weight[0]), weight)

    def test_fit_goes_on(self) -> None:
        """Cut off after five epochs, a second `fit` counts on, and stops and restores as one that was not."""
        spec, first, second = registry.make("early_stopping", patience=3), Scripted(), Scripted(METRICS[5:])
        callback, again = keras_stopping.build(spec), keras_stopping.build(spec)
        first.train(5, [callback])
        again.set_state(copy.deepcopy(callback.get_state()))
        second.set_weights([np.full(1, 5.0)])
        self.assertEqual(second.train(10, [again], first=5).epoch, [5, 6])
        self.assertEqual(float(second.weight[0]), 4.0)

    def test_fit_starts_anew(self) -> None:
        """Without a state, a second `fit` forgets the first, as Keras's own callback does."""
        callback, model = keras_stopping.build(registry.make("early_stopping", patience=3)), Scripted(METRICS * 2)
        model.train(10, [callback])
        self.assertEqual(callback.best_epoch, 3)
        model.losses_to_come = [9.0, 8.0, 7.0]
        model.train(3, [callback])
        self.assertEqual(callback.best_epoch, 2)

    def test_pytorch_state_is_a_file(self) -> None:
        spec, model, file = registry.make("early_stopping", patience=2), line(), io.BytesIO()
        stopping, again = torch_stopping.build(spec), torch_stopping.build(spec)
        for value in METRICS[:5]:
            self.assertFalse(stopping.step({"val_loss": value}, model))
            model.weight.data += 1
        torch.save(stopping.state_dict(), file)
        again.load_state_dict(torch.load(io.BytesIO(file.getvalue())))
        best = again.best_weights["weight"].clone()
        self.assertTrue(again.step(torch.tensor(METRICS[5]), model))
        self.assertTrue(torch.equal(model.weight, best))

    @parameterized.expand([(0.995, 1.0, 0.005), (0.415, 0.54, 0.125), (0.9, 1.0, 0.1), (0.5, 0.75, 0.125)])
    def test_ties(self, best: float, value: float, delta: float) -> None:
        """Both sides decide by best + min_delta; PyTorch's own plateau and Keras's own stopping compute this too."""
        spec = registry.make("early_stopping", mode="max", min_delta=delta)
        stopping, callback = torch_stopping.build(spec), keras_stopping.build(spec)
        for metric in (best, value):
            stopping.step(metric, line())
        self.assertEqual(drive(callback, (best, value))[1], stopping.best_epoch)
        self.assertEqual(stopping.best_epoch == 1, value > best + delta)
        plateau_spec = registry.make("reduce_on_plateau", mode="max", threshold=delta, threshold_mode="absolute")
        own = torch.optim.lr_scheduler.ReduceLROnPlateau(
            torch.optim.SGD(line().parameters()), mode="max", threshold=delta, threshold_mode="abs"
        )
        self.assertEqual(plateau_spec.better(value, best), own._is_better(value, best))
        self.assertEqual(plateau_spec.better(value, best), value > best + delta)

    def test_keras_own(self) -> None:
        """The state machine is that of Keras's own class, where the metrics differ by more than float32 sees."""
        rng = generator(0, "early stopping")
        for patience in range(4):
            values = (2 - 0.02 * np.arange(30) + 0.1 * rng.standard_normal(30)).tolist()
            spec = registry.make("early_stopping", patience=patience)
            own = keras.callbacks.EarlyStopping(mode="min", patience=patience, restore_best_weights=True)
            self.assertEqual(drive(keras_stopping.build(spec), values), drive(own, values))

    @parameterized.expand([
        ("nan first", (math.nan, 2.0, 1.0, 3.0, 4.0), 4, 2), ("nan later", (2.0, math.nan, 1.0), 2, 2),
        ("all nan", (math.nan, math.nan, math.nan), 1, 0),
    ])  # fmt: skip
    def test_nan_is_never_better(self, case: str, values: tuple[float, ...], last: int, best: int) -> None:
        spec, model = registry.make("early_stopping", patience=2), line()
        torch_side, keras_side = torch_stopping.build(spec), keras_stopping.build(spec)
        stops = [torch_side.step(value, model) for value in values[: last + 1]]
        self.assertEqual(drive(keras_side, values), (last + 1, best, best + 1.0))
        self.assertEqual(torch_side.best_epoch, best)
        self.assertFalse(any(stops[:-1]))

    def test_close_metrics(self) -> None:
        """Metrics that differ in the tenth digit are better in both, and equal to Keras's own in float32."""
        values = [1 - 1e-10 * index for index in range(4)]
        own, ours = keras.callbacks.EarlyStopping(mode="min"), keras_stopping.build(registry.make("early_stopping"))
        stopping, model = torch_stopping.build(registry.make("early_stopping")), line()
        for value in values:
            stopping.step(value, model)
        self.assertEqual((drive(own, values)[1], drive(ours, values)[1], stopping.best_epoch), (0, 3, 3))

    def test_a_missing_metric(self) -> None:
        spec, model = registry.make("early_stopping", monitor="val_acc"), line()
        message = refused(self, InputError, torch_stopping.build(spec).step, {"loss": 1.0, "val_loss": 2.0}, model)
        self.assertIn(
            "early_stopping: there is no metric 'val_acc' in this epoch, but 'loss', 'val_loss'; name", message
        )
        self.assertEqual(refused(self, InputError, Scripted().train, 2, [keras_stopping.build(spec)]), message)
        for wrong in ("low", None, [1.0, 2.0], torch.zeros(2)):
            message = refused(self, InputError, torch_stopping.build(spec).step, wrong, model)
            self.assertIn("early_stopping: the metric 'val_acc' must be one number, not ", message)

    def test_patience_below_zero(self) -> None:
        for name in ("early_stopping", "reduce_on_plateau"):
            message = refused(self, SpecError, registry.make, name, patience=-1)
            self.assertEqual(message, f"{name}: patience must be a whole number, at least 0, not -1")


def plateau(metrics: Any, **options: Any) -> list[float]:
    optimizer = torch.optim.SGD(line().parameters(), lr=0.5)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    found = []
    for value in metrics:
        optimizer.step()
        scheduler.step(value)
        found.append(optimizer.param_groups[0]["lr"])
    return found


class Plateaus(unittest.TestCase):
    @parameterized.expand([(patience, cooldown) for patience in range(3) for cooldown in range(3)])
    def test_the_frameworks_own(self, patience: int, cooldown: int) -> None:
        """Each convention is that of a framework's own class, epoch for epoch."""
        metrics = generator(patience, "plateau").uniform(1, 2, 15)
        options = {"factor": 0.5, "patience": patience, "cooldown": cooldown}
        spec = registry.make("reduce_on_plateau", threshold_mode="absolute", threshold=0.25, **options)
        rates = [spec.START / 0.5 * rate for rate in plateau(metrics, threshold=0.25, threshold_mode="abs", **options)]
        self.assertEqual(spec.rates(metrics), rates)
        callback, optimizer = (
            keras.callbacks.ReduceLROnPlateau(mode="min", min_delta=0.25, **options),
            keras.optimizers.SGD(spec.START),
        )
        callback.set_model(SimpleNamespace(optimizer=optimizer))
        callback.on_train_begin()
        found = []
        for epoch, value in enumerate(metrics):
            callback.on_epoch_end(epoch, {"val_loss": value})
            found.append(float(optimizer.learning_rate))
        self.assertEqual(spec.replace(patience_convention="reached").rates(metrics), found)
        self.assertEqual(found == rates, patience == 0 and cooldown == 0)

    def test_fit_goes_on(self) -> None:
        spec = registry.make("reduce_on_plateau", patience=2, factor=0.5, patience_convention="reached")
        whole, first, second = Scripted([1.0] * 9), Scripted([1.0] * 4), Scripted([1.0] * 5)
        whole.train(9, [keras_plateau.build(spec, whole.optimizer)])
        callback, again = keras_plateau.build(spec, first.optimizer), keras_plateau.build(spec, second.optimizer)
        first.train(4, [callback])
        again.set_state(callback.get_state())
        second.optimizer.learning_rate = float(first.optimizer.learning_rate)
        second.train(9, [again], first=4)
        self.assertEqual(float(second.optimizer.learning_rate), float(whole.optimizer.learning_rate))
        self.assertEqual(float(whole.optimizer.learning_rate), 0.5 / 16)

    def test_pytorch_state_is_a_file(self) -> None:
        spec, file = registry.make("reduce_on_plateau_relative"), io.BytesIO()
        torch.save(torch_plateau.build(spec, torch.optim.SGD(line().parameters())).state_dict(), file)
        state = torch.load(io.BytesIO(file.getvalue()))
        self.assertNotIn("spec", state)
        self.assertEqual(state["patience"], 2)

    def test_groups_keep_their_factor(self) -> None:
        spec = registry.make("reduce_on_plateau", patience=0, min_rate=0.0625)
        groups = [{"params": line().parameters()}, {"params": line().parameters(), "lr": 0.25, "multiplier": 0.25}]
        optimizer = torch.optim.SGD(groups, lr=1.0)
        scheduler, weights = torch_plateau.build(spec, optimizer), [keras.Variable([1.0]) for _ in range(2)]
        whole = grouped(registry.make("sgd", learning_rate=1.0), weights, [(1.0, True), (0.25, True)])
        callback = keras_plateau.build(spec, whole)
        callback.set_model(SimpleNamespace(optimizer=whole))
        for epoch in range(5):
            optimizer.step()
            scheduler.step({"val_loss": 1.0})
            callback.on_epoch_end(epoch, {"val_loss": 1.0})
        self.assertEqual([group["lr"] for group in optimizer.param_groups], [0.0625, 0.015625])
        rates = [float(each.learning_rate) for each in (whole, *whole.optimizers)]
        self.assertEqual(rates, [0.0625, 0.0625, 0.015625])

    def test_a_schedule_cannot_be_reduced(self) -> None:
        optimizer = keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10))
        message = refused(self, InputError, keras_plateau.build, registry.make("reduce_on_plateau"), optimizer)
        self.assertIn(
            "reduce_on_plateau reduces a rate that is a number, and this optimizer's is the schedule", message
        )

    def test_a_missing_metric(self) -> None:
        spec, model = registry.make("reduce_on_plateau", monitor="val_acc"), Scripted()
        callback = keras_plateau.build(spec, model.optimizer)
        message = refused(self, InputError, model.train, 2, [callback])
        scheduler = torch_plateau.build(spec, torch.optim.SGD(line().parameters()))
        self.assertEqual(refused(self, InputError, scheduler.step, {"loss": 1.0, "val_loss": 3.0}), message)
        self.assertIn("reduce_on_plateau: there is no metric 'val_acc' in this epoch, but 'loss', 'val_loss'", message)

    def test_a_threshold_that_nothing_passes(self) -> None:
        message = refused(self, SpecError, registry.make, "reduce_on_plateau", threshold=1)
        self.assertEqual(
            message, "reduce_on_plateau: a relative threshold of 1 can never be passed; it must be below 1"
        )
        self.assertEqual(registry.make("reduce_on_plateau", threshold=1, threshold_mode="absolute").threshold, 1)


class Curricula(unittest.TestCase):
    def test_in_fit(self) -> None:
        """Epoch by epoch `fit` sees the samples that PyTorch's loader gives, batch for batch."""
        spec = registry.make("curriculum", start=0.25, step=0.25)
        difficulties, samples = np.linspace(0, 1, 11), np.arange(11.0)[:, None]
        seen: list[list[float]] = []

        class Model(keras.Model):
            def train_step(self, data: Any) -> dict[str, Any]:
                seen.append(data[0][:, 0].numpy().tolist())
                return {"loss": keras.ops.zeros(())}

        model = Model()
        model.compile(run_eagerly=True)
        dataset = keras_curriculum.build(spec, (samples, samples), difficulties, 4)
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            model.fit(dataset, epochs=5, shuffle=False, verbose=1)
        loader, given = torch_curriculum.build(spec, (samples, samples), difficulties, 4), []
        for epoch in range(5):
            loader.sampler.set_epoch(epoch)
            given += [x[:, 0].tolist() for x, _ in loader]
        self.assertEqual(seen, given)
        self.assertEqual([len(batch) for batch in seen], [3, 4, 2, 4, 4, 4, 4, 3, 4, 4, 3])
        self.assertIn("3/3", shown.getvalue())

    def test_fit_reads_a_length_once(self) -> None:
        """The trap: without a count that is asked again, every epoch has as many batches as the first."""
        spec, samples = registry.make("curriculum", start=0.25, step=0.25), np.arange(11.0)[:, None]
        seen: list[int] = []

        class Cut(keras_curriculum.Curriculum):
            @property
            def num_batches(self) -> int:
                return len(self)

            def on_epoch_end(self) -> None:
                seen.append(len(self))
                super().on_epoch_end()

        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        steps = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda step, logs: seen.append(-1))
        model.fit(Cut(spec, (samples, samples), np.linspace(0, 1, 11), 4), epochs=3, verbose=0, callbacks=[steps])
        self.assertEqual(seen, [1, -1, 1, -1, 2, -1, 2])

    def test_each_epoch_takes_every_eligible_sample_once(self) -> None:
        difficulties = generator(0, "curriculum").uniform(0, 1, 200)
        for replacement in (False, True):
            spec = registry.make("curriculum", replacement=replacement)
            for epoch in range(12):
                rows, limit = spec.rows(difficulties, epoch), min(1.0, 0.2 + 0.1 * epoch)
                eligible = np.flatnonzero(difficulties <= limit)
                self.assertEqual(len(rows), len(eligible))
                self.assertEqual(sorted(rows.tolist()) == eligible.tolist(), not replacement)
                self.assertTrue(set(rows.tolist()) <= set(eligible.tolist()))

    def test_orders_differ(self) -> None:
        spec, difficulties = registry.make("curriculum", start=1.0), np.zeros(50)
        orders = {tuple(spec.replace(seed=seed).rows(difficulties, epoch)) for seed in range(3) for epoch in range(3)}
        self.assertEqual(len(orders), 9)

    @parameterized.expand([
        ([0.5, 0.4], 0, "the threshold of epoch 0 is 0.2, and the easiest sample's difficulty 0.4; raise `start`"),
        ([0.5, 1.5], 0, "sample 1 has the difficulty 1.5, and a difficulty is from 0 to 1; divide them by the largest"),
        ([0.5, float("nan")], 0, "sample 1 has the difficulty nan, and a difficulty is from 0 to 1"),
        ([], 0, "difficulties are numbers, (samples), one for each sample, not float64 (0,)"),
        ([[0.1]], 0, "difficulties are numbers, (samples), one for each sample, not float64 (1, 1)"),
        (["a"], 0, "difficulties are numbers, (samples), one for each sample, not <U1 (1,)"),
        ([0.1], -1, "an epoch is a whole number, at least 0, not -1"),
    ])  # fmt: skip
    def test_refused(self, difficulties: Any, epoch: int, sentence: str) -> None:
        message = refused(self, InputError, registry.make("curriculum").rows, difficulties, epoch)
        self.assertIn(f"curriculum: {sentence}", message)


STAGED = registry.make("progressive_unfreezing_three", patterns=("head*", "middle*", "*"))


class Unfreezing(unittest.TestCase):
    def network(self) -> keras.Model:
        keras.utils.set_random_seed(3)
        return keras.Sequential([
            keras.Input((3,)),
            keras.layers.Dense(4, name="stem"),
            keras.layers.BatchNormalization(name="middle"),
            keras.layers.Dense(1, name="head"),
        ])  # fmt: skip

    def named(self, model: keras.Model) -> dict[str, Any]:
        return {variable.path.partition("/")[2]: variable for variable in model.trainable_variables}

    def test_in_fit(self) -> None:
        """Which weights move in which epoch of a compiled `fit`; the running statistics move in all of them."""
        model, moved = self.network(), []
        model.compile(keras.optimizers.Adam(0.1), "mse")
        named = self.named(model)
        before = {name: variable.numpy() for name, variable in named.items()}
        mean = [variable for variable in model.variables if variable.path.endswith("middle/moving_mean")]

        def note(epoch: int, logs: Any) -> None:
            now = {name: variable.numpy() for name, variable in named.items()}
            moved.append({name.split("/")[0] for name in named if not np.array_equal(now[name], before[name])})
            before.update(now)

        x = generator(0, "unfreezing").standard_normal((8, 3))
        callbacks = [keras_unfreezing.build(STAGED, named), keras.callbacks.LambdaCallback(on_epoch_end=note)]
        model.fit(x, x[:, :1], epochs=4, verbose=0, callbacks=callbacks)
        self.assertEqual(moved, [{"head"}, {"head", "middle"}, {"head", "middle", "stem"}, {"head", "middle", "stem"}])
        self.assertTrue(np.all(mean[0].numpy() != 0))

    def test_layers_would_stop_batch_normalisation(self) -> None:
        """The trap: a frozen Keras layer uses its running statistics; frozen variables leave it in training."""
        x = generator(1, "unfreezing").standard_normal((8, 3)).astype("float32")
        outputs = []
        for freeze in (False, True):
            model = self.network()
            if freeze:
                model.get_layer("middle").trainable = False
            else:
                keras_unfreezing.build(STAGED, self.named(model)).set_epoch(0)
            outputs.append(model(x, training=True).numpy())
            self.assertEqual(bool(np.any(model.get_layer("middle").moving_mean.numpy())), not freeze)
        self.assertFalse(np.array_equal(*outputs))

    def test_groups_and_schedules(self) -> None:
        """PyTorch's groups keep their factor under a schedule, and a frozen weight has neither gradient nor decay."""
        net = nn.ModuleDict({"stem": nn.Linear(3, 4), "middle": nn.Linear(4, 4), "head": nn.Linear(4, 1)})
        unfreezing = torch_unfreezing.build(STAGED, dict(net.named_parameters()))
        optimizer = torch.optim.AdamW(unfreezing.groups(0.5), weight_decay=0.1)
        self.assertEqual([group["lr"] for group in optimizer.param_groups], [0.5, 0.5 / 2.6, 0.5 * 2.6**-2])
        for weight in net.parameters():
            weight.grad = torch.ones_like(weight)
        before = [weight.clone() for weight in net["stem"].parameters()]
        unfreezing.set_epoch(1)
        optimizer.step()
        self.assertTrue(all(map(torch.equal, before, net["stem"].parameters())))
        self.assertEqual([weight.requires_grad for weight in net.parameters()], [False] * 2 + [True] * 4)
        unfreezing.set_epoch(2)
        self.assertTrue(all(weight.requires_grad for weight in net.parameters()))

    def test_adam_of_a_late_weight(self) -> None:
        """The trap: Keras corrects the moments of a weight that starts late by the steps of all."""
        variables = [keras.Variable([0.0]) for _ in range(2)]
        optimizer = keras.optimizers.Adam(0.5, beta_1=0.75, beta_2=1 - 2**-10)
        optimizer.build(variables)
        optimizer.iterations.assign(100_000)
        optimizer.apply([keras.ops.ones(1)], variables[1:])
        weights = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
        ours = torch.optim.Adam(weights, lr=0.5, betas=(0.75, 1 - 2**-10))
        for index in (0, 0, 1):
            for weight in weights:
                weight.grad = None
            weights[index].grad = torch.ones(1)
            ours.step()
        moved = -float(variables[1][0]), -weights[1].item()
        self.assertEqual([round(step, 4) for step in moved], [0.5 * 0.25 * 2**5, 0.5])

    def test_the_paper_rates(self) -> None:
        spec = registry.make("progressive_unfreezing_three")
        self.assertEqual([factor for _, factor in spec.multipliers()], [1.0, 2.6**-1, 2.6**-2])
        self.assertEqual(spec.multiplier("head.kernel"), 1.0)
        self.assertEqual(spec.trainable(["head.bias", "middle.0", "stem"], 1), ["head.bias", "middle.0"])

    @parameterized.expand([
        ({"epochs": (1, 2)}, "2 patterns need 1 epochs, one for each but the first, and there are 2"),
        ({"patterns": ("a", "b", "c"), "epochs": (3, 2)},
         "none of the epochs (3, 2) may be earlier than the one before"),
    ])  # fmt: skip
    def test_refused(self, fields: dict[str, Any], sentence: str) -> None:
        message = refused(self, SpecError, registry.make, "progressive_unfreezing", **fields)
        self.assertEqual(message, f"progressive_unfreezing: {sentence}")

    def test_names_that_do_not_fit(self) -> None:
        spec = registry.make("progressive_unfreezing", patterns=("head*", "layer?"))
        for build in (torch_unfreezing.build, keras_unfreezing.build):
            message = refused(self, InputError, build, spec, {"head": None, "stem": None})
            self.assertIn("no pattern matches the weight 'stem', so it would never train; end the patterns", message)
            message = refused(self, InputError, build, spec, {"head": None})
            self.assertIn(
                "the pattern 'layer?' is the first to match no weight at all; their names are 'head'", message
            )

"""The Theano tutorial in symvi: from `a + a**10` to a neural network with momentum, in five minutes.

    python examples/theano_tutorial.py

You write mathematics; symvi checks the shapes, derives the gradients and compiles everything to machine code.
"""

from __future__ import annotations

import sys

import numpy as np

import symvi as sv


def first_steps() -> dict:
    """A number goes in, a number comes out. `a` is a symbol, `f` a compiled function of it."""
    a, b = sv.data("a"), sv.data("b")
    f = sv.function([a], a + a**10)
    square = sv.function([a, b], a**2 + 2 * a * b + b**2)
    print("a + a**10 at 0, 1, 2:     ", f(0), f(1), f(2))
    print("a² + 2ab + b² at 1, 2:    ", square(1, 2))
    return {"power": [f(0), f(1), f(2)], "square": square(1, 2)}


def logistic_of_a_matrix() -> dict:
    """Functions apply entry by entry. The sizes M and N are names: one compiled function serves matrices of any size."""
    M, N = sv.dims("M N")
    x = sv.data("x", M, N)
    logistic = sv.function([x], 1 / (1 + sv.exp(-x)))
    print("logistic of a matrix:     ", np.round(logistic([[0, 1], [-1, -2]]), 4).tolist())
    return {"two by two": logistic([[0, 1], [-1, -2]]), "one by three": logistic([[0.0, 800.0, -800.0]])}


def three_results_at_once() -> dict:
    """Several outputs share what they have in common: the difference is computed once."""
    M, N = sv.dims("M N")
    a, b = sv.data("a", M, N), sv.data("b", M, N)
    difference = a - b
    f = sv.function([a, b], [difference, abs(difference), difference**2])
    results = f([[1, 1], [1, 1]], [[0, 1], [2, 3]])
    print("difference, |.|, (.)²:    ", *(result.tolist() for result in results))
    return {"results": results}


def accumulator() -> dict:
    """State: a shared variable keeps its value between calls, and `updates` say what it becomes after each."""
    state = sv.shared(0, "state")
    increment = sv.data("increment", dtype=int)
    add = sv.function([increment], state, updates={state: state + increment})
    returned = [add(1), add(300)]  # the output is computed before the update
    after = int(state.get_value())
    state.set_value(-1)
    returned.append(add(3))
    print("accumulator returned:     ", returned, "and holds", int(state.get_value()))
    return {"returned": returned, "after two": after, "last": int(state.get_value())}


def logistic_regression(steps: int = 5_000) -> dict:
    """400 rows of 784 noise features with random labels: enough freedom to learn them by heart."""
    rng = np.random.default_rng(1)
    features, labels = rng.standard_normal((400, 784)), rng.integers(0, 2, 400)

    N, F = sv.dim("N"), sv.dim("F", 784)
    X, y = sv.data("X", N, F), sv.data("y", N)
    w, b = sv.shared(rng.standard_normal(784), "w"), sv.shared(0.0, "b")

    p = 1 / (1 + sv.exp(-X @ w - b))  # the probability of a 1
    prediction = p > 0.5
    cross_entropy = -y * sv.log(p) - (1 - y) * sv.log(1 - p)
    cost = sv.mean(cross_entropy) + 0.01 * sv.sum(w**2)
    gw, gb = sv.grad(cost, [w, b])

    train = sv.function([X, y], [prediction, cost], updates={w: w - 0.1 * gw, b: b - 0.1 * gb}, name="train")
    predict = sv.function([X], prediction, name="predict")
    gradient = sv.function([X, y], [gw, gb], name="gradient")

    start = {"w": w.get_value(), "b": b.get_value(), "gradient": gradient(features, labels)}
    before = np.mean(predict(features) == labels)
    costs = [train(features, labels)[1] for _ in range(steps)]
    after = np.mean(predict(features) == labels)
    print("the cost is               ", cost)
    print(f"logistic regression:       cost {costs[0]:.3f} -> {costs[-1]:.3f}, accuracy {before:.1%} -> {after:.1%}")
    return {"features": features, "labels": labels, "start": start, "costs": costs, "before": before, "after": after, "w": w.get_value()}


def layer(x, name: str, inputs: int, outputs: int, rng: np.random.Generator):
    """A layer of sigmoid units, and its weights: a building block is a plain function."""
    W = sv.shared(rng.uniform(-1, 1, (inputs, outputs)) * 4 * np.sqrt(6 / (inputs + outputs)), f"W_{name}")
    b = sv.shared(np.zeros(outputs), f"b_{name}")
    return sv.sigmoid(x @ W + b), [W, b]


def with_momentum(cost, parameters, rate: float = 0.1, momentum: float = 0.9) -> dict:
    """v ← μ v + (1 - μ) ∂cost/∂θ and θ ← θ - ε v. All right sides see the old values."""
    updates = {}
    for parameter, gradient in zip(parameters, sv.grad(cost, parameters), strict=True):
        velocity = sv.shared(np.zeros_like(parameter.get_value()), f"v_{parameter.name}")
        updates[velocity] = momentum * velocity + (1 - momentum) * gradient
        updates[parameter] = parameter - rate * velocity
    return updates


def multilayer_perceptron(steps: int = 2_000) -> dict:
    """Two classes, each a ring around the other: no line separates them, a hidden layer of ten units does."""
    rng = np.random.default_rng(2)
    angle, labels = rng.uniform(0, 2 * np.pi, 300), np.arange(300) % 2
    radius = np.where(labels == 1, 2.0, 1.0) + 0.1 * rng.standard_normal(300)
    points = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])

    N = sv.dim("N")
    x, target = sv.data("x", N, 2), sv.data("target", N)
    hidden, first = layer(x, "hidden", 2, 10, rng)
    output, second = layer(hidden, "output", 10, 1, rng)
    output = output[:, 0]
    cost = sv.mean((output - target) ** 2)

    train = sv.function([x, target], cost, updates=with_momentum(cost, first + second, rate=10.0), name="train_mlp")
    predict = sv.function([x], output, name="predict_mlp")
    costs = [train(points, labels) for _ in range(steps)]
    accuracy = np.mean((predict(points) > 0.5) == labels)
    print(f"multi-layer perceptron:    cost {costs[0]:.3f} -> {costs[-1]:.4f}, accuracy {accuracy:.1%}")
    return {"costs": costs, "accuracy": accuracy}


def main(short: bool = False) -> dict:
    """Every snippet in order; `short` takes fewer training steps."""
    return {
        "first steps": first_steps(),
        "matrix": logistic_of_a_matrix(),
        "three": three_results_at_once(),
        "accumulator": accumulator(),
        "regression": logistic_regression(500 if short else 5_000),
        "perceptron": multilayer_perceptron(800 if short else 2_000),
    }


if __name__ == "__main__":
    main(short="--short" in sys.argv)

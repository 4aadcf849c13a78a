"""The graph of an expression: every leaf once, edges from operands to results, Graphviz text that is well formed."""

from __future__ import annotations

import re
import sys

import pytest

import symvi as sv

N, D = sv.dims("N D")
X, y, w = sv.data("X", N, D), sv.data("y", N), sv.param("w", D)
eta = X @ w
cost = sv.sum(y * eta - sv.softplus(eta)) / N


def test_nodes_and_edges():
    graph = sv.plot_graph(cost)
    assert sorted(c for c, role in zip(graph.captions, graph.roles, strict=True) if role) == ["X  [N × D]", "w  [D]", "y  [N]"]
    assert graph.captions.count("softplus") == 1 and "Σ over d" in graph.captions
    product = graph.captions.index("Σ over d")
    assert len([edge for edge in graph.edges if edge[0] == product]) == 2, "the predictor is computed once and read twice"
    assert all(child < parent for child, parent in graph.edges)
    assert {number for layer in graph.layers() for number in layer} == set(range(len(graph.captions)))


def test_dot(tmp_path):
    path = tmp_path / "cost.dot"
    graph = sv.plot_graph(cost, path)
    text = path.read_text(encoding="utf-8")
    assert text == graph.dot == str(graph) and text.startswith("digraph") and text.rstrip().endswith("}")
    assert len(re.findall(r"^  n\d+ \[label=", text, re.M)) == len(graph.captions)
    assert len(re.findall(r"^  n\d+ -> n\d+;", text, re.M)) == len(graph.edges)


def test_pictures(tmp_path, monkeypatch):
    with pytest.raises(sv.ExpressionError, match=".png"):
        sv.plot_graph(cost, tmp_path / "cost.txt")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(sv.ExpressionError, match="matplotlib"):
        sv.plot_graph(cost, tmp_path / "cost.png")


def test_picture_by_matplotlib(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "cost.png"
    sv.plot_graph(cost, path)
    assert path.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    "expression",
    [sv.linalg.logdet(X.T @ X), X[:, 0][1:] * 2, sv.where(y > 0, y, 0.0), sv.stop_gradient(w), sv.logsumexp(y), w, sv.pi * 1.0],
    ids=str,
)
def test_every_kind_of_node(expression):
    assert sv.plot_graph(expression).dot.count("label=") >= 1

"""`sv.plot_graph`: an expression as a drawing of its nodes: Graphviz text, or a picture by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from symvi.array.expression import as_expr
from symvi.errors import ExpressionError
from symvi.expr.nodes import Apply, Contract, Input, Node, Operator, Read, Reduce, Sum, Surrogate, Tensor, postorder
from symvi.expr.printing import label_names, number_text, text

__all__ = ["Graph", "plot_graph"]

_FILL = {"data": "#dddddd", "anonymous": "#dddddd", "param": "#cfe2ff", "noise": "#ffe8cc", "shared": "#d9f2d9", "latent": "#cfe2ff"}


class Graph:
    """Nodes and edges of an expression, with Graphviz text (`.dot`), drawn in notebooks that have Graphviz."""

    def __init__(self, expression: Any):
        root = as_expr(expression).term
        names = label_names((root,))
        order = [node for node in postorder((root,), _shown_children)]
        self.numbers = {node: number for number, node in enumerate(order)}
        self.captions = [_caption(node, names) for node in order]
        self.roles = [node.leaf.role if isinstance(node, Input) else None for node in order]
        self.edges = [(self.numbers[child], self.numbers[node]) for node in order for child in _shown_children(node)]

    @property
    def dot(self) -> str:
        """The graph in Graphviz's language."""
        lines = [
            "digraph expression {",
            "  rankdir=BT;",
            '  node [shape=box, style="rounded,filled", fillcolor=white, fontname="Helvetica"];',
        ]
        for number, (caption, role) in enumerate(zip(self.captions, self.roles, strict=True)):
            colour = f', shape=ellipse, fillcolor="{_FILL.get(role, "white")}"' if role else ""
            escaped = caption.replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'  n{number} [label="{escaped}"{colour}];')
        lines += [f"  n{child} -> n{parent};" for child, parent in self.edges]
        return "\n".join([*lines, "}"]) + "\n"

    def __str__(self) -> str:
        return self.dot

    def __repr__(self) -> str:
        return f"<graph of {len(self.captions)} nodes and {len(self.edges)} edges; .dot is its Graphviz text>"

    def _repr_svg_(self) -> str | None:
        try:
            import graphviz

            return graphviz.Source(self.dot)._repr_image_svg_xml()
        except Exception:  # no Graphviz here: notebooks fall back to the text
            return None

    def layers(self) -> list[list[int]]:
        """Node numbers by their distance from the leaves."""
        depth = [0] * len(self.captions)
        for child, parent in self.edges:  # children come first
            depth[parent] = max(depth[parent], depth[child] + 1)
        return [[number for number, level in enumerate(depth) if level == wanted] for wanted in range(max(depth) + 1)]

    def draw(self, path: Path) -> None:
        """A picture by matplotlib: leaves at the bottom, the expression on top."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ExpressionError(
                "a picture of the graph needs matplotlib (pip install 'symvi[plot]'); a .dot file needs nothing"
            ) from None
        layers = self.layers()
        width = max(map(len, layers))
        figure = Figure(figsize=(max(4.0, 2.2 * width), max(3.0, 0.9 * len(layers))))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.axis("off")
        place = {
            n: ((k + 0.5) / len(layer), (level + 0.5) / len(layers)) for level, layer in enumerate(layers) for k, n in enumerate(layer)
        }
        for child, parent in self.edges:
            axes.annotate(
                "", place[parent], place[child], arrowprops={"arrowstyle": "->", "color": "#888888", "shrinkA": 10, "shrinkB": 10}
            )
        for number, (x, y) in place.items():
            box = {"boxstyle": "round", "facecolor": _FILL.get(self.roles[number], "white"), "edgecolor": "#444444"}
            axes.text(x, y, self.captions[number], ha="center", va="center", fontsize=9, bbox=box)
        figure.savefig(path)


def plot_graph(expression: Any, path: str | Path | None = None) -> Graph:
    """The graph of an expression. With `path`, write it: `.dot` or `.gv` as Graphviz text, `.png .pdf .svg` as a picture."""
    graph = Graph(expression)
    if path is not None:
        path = Path(path)
        if path.suffix in (".dot", ".gv"):
            path.write_text(graph.dot, encoding="utf-8")
        elif path.suffix in (".png", ".pdf", ".svg"):
            graph.draw(path)
        else:
            raise ExpressionError(f"plot_graph writes .dot, .gv, .png, .pdf or .svg, not {path.name!r}")
    return graph


def _shown_children(node: Node) -> tuple[Node, ...]:
    """Views are not drawn: a read of an array stands for the array, unless it gathers."""
    return tuple(dict.fromkeys(_through_views(child) for child in node.children))


def _through_views(node: Node) -> Node:
    while (isinstance(node, Read) and len(node.children) == 1) or isinstance(node, Tensor):
        node = node.children[0]
    return node


def _caption(node: Node, names: dict) -> str:
    if isinstance(node, Input):
        dims = " × ".join(map(str, node.shape))
        return f"{node.name}  [{dims}]" if dims else node.name
    if isinstance(node, Apply):
        return node.function.unicode or node.function.name
    if isinstance(node, Sum):
        return "+" if len(node.children) > 1 else f"× {number_text(node.payload[0][0])}"
    if isinstance(node, (Contract, Reduce)) and node.bound:
        sign = "Σ" if isinstance(node, Contract) else node.operation
        powers = "" if isinstance(node, Reduce) or all(e == 1 for _, e in node.factors) else " of powers"
        return f"{sign} over {', '.join(names.get(label, str(label)) for label in node.bound)}{powers}"
    if isinstance(node, Contract):
        if len(node.children) == 1:
            return f"^ {node.payload[1][0]}"
        return "÷" if any(e < 0 for _, e in node.factors) else "×"
    if isinstance(node, Operator):
        return node.name
    if isinstance(node, Surrogate):
        return "stop gradient"
    if isinstance(node, Read):
        return "gather"
    return text(node, 40)

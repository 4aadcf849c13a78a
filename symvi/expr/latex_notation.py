"""The same notation in LaTeX: fractions are built, names become Greek letters or upright words, indices are subscripts."""

from __future__ import annotations

import re
from fractions import Fraction

from symvi.expr.nodes import Apply
from symvi.expr.notation import ATOM, PRODUCT, SIGMA, Notation, Written, number_text

__all__ = ["LatexNotation"]

GREEK = set(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
)
_UNICODE = dict(zip("αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ", [
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi", "pi", "rho", "sigma",
    "tau",
    "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega",
], strict=True))  # fmt: skip
_NAME = re.compile(r"([^\W\d_]+)_?(\w*)$")


def name_in_latex(name: str) -> str:
    """`w` → w, `sigma` → \\sigma, `w1` → w_{1}, `m_loc` → m_{\\mathrm{loc}}, `scale` → \\mathrm{scale}."""
    match = _NAME.match(name)
    if not match:
        return r"\mathrm{" + name.replace("_", r"\_") + "}"
    base, below = match.groups()
    if below and not below.isdigit() and len(base) > 1 and base not in GREEK:
        return r"\mathrm{" + name.replace("_", r"\_") + "}"
    base = _word(base)
    return f"{base}_{{{_word(below) if not below.isdigit() else below}}}" if below else base


def _word(word: str) -> str:
    if word in GREEK:
        return "\\" + word
    if word in _UNICODE:
        return "\\" + _UNICODE[word]
    return word if len(word) == 1 or word.isdigit() else r"\mathrm{" + word.replace("_", r"\_") + "}"


class LatexNotation(Notation):
    """Index notation in LaTeX."""

    elided, product_sign = r"\ldots", " "
    comparisons = {
        "greater_equal": r"\ge", "less_equal": r"\le", "not_equal": r"\ne", "equal": "=", "less": "<", "greater": ">",
        "logical_and": r"\land", "logical_or": r"\lor",
    }  # fmt: skip
    joins_fractions = True
    sigma, product_of, identity = r"\sum", r"\prod", "I"

    def leaf(self, name: str) -> str:
        return name_in_latex(name)

    def number(self, value: Fraction | float) -> str:
        if isinstance(value, float):
            return {"inf": r"\infty", "-inf": r"-\infty"}.get(str(value), r"\mathrm{nan}")
        if value.denominator != 1 and (value.denominator <= 16 or "/" in number_text(value)) and value.denominator != 10:
            return f"{'-' if value < 0 else ''}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"
        mantissa, _, exponent = number_text(value).partition("e")
        if not exponent:
            return mantissa
        power = f"10^{{{int(exponent)}}}"
        mantissa = mantissa.removesuffix(".0")
        return power if mantissa == "1" else f"{mantissa} \\cdot {power}"

    def group(self, inner: str) -> str:
        return f"\\left({inner}\\right)"

    def label(self, label) -> str:
        name = super().label(label)
        return name if "\\" in name else _letter(name)

    def indexed(self, base: str, indices: list[str]) -> str:
        separator = "" if all(len(index.rstrip("'")) == 1 for index in indices) else ","
        below = separator.join(indices)
        match = re.fullmatch(r"(.*)_\{([^{}]*|\\mathrm\{[^{}]*\})\}", base)
        return f"{match[1]}_{{{match[2]},{below}}}" if match else f"{base}_{{{below}}}"

    def raised(self, base: str, exponent: str) -> str:
        return f"{base}^{{{exponent}}}"

    def transposed(self, base: str) -> str:
        return f"{base}^{{\\top}}"

    def inverted(self, base: str, transposed: bool = False) -> str:
        return f"{base}^{{-\\top}}" if transposed else f"{base}^{{-1}}"

    def bars(self, inner: str) -> str:
        return f"\\left|{inner}\\right|"

    def quotient(self, upper: str, lower: list[str]) -> Written:
        return f"\\frac{{{upper}}}{{{' '.join(lower)}}}", ATOM

    def fraction(self, above: list[Written], below: list[str]) -> Written:
        """What ends in a sum sign stands behind the fraction: \\frac{1}{N} \\sum_n."""
        if not below:
            return self.times(above)
        below = [_bare(string) for string in below] if len(below) == 1 else below
        inside, behind = [f for f in above if f[1] != SIGMA], [f for f in above if f[1] == SIGMA]
        string = self.times(inside)[0] if inside else "1"
        front = self.quotient(string, below)[0], PRODUCT
        return self.times([front, *behind]) if behind else front

    def operation(self, sign: str, labels: list[str]) -> str:
        return f"{sign}_{{{','.join(labels)}}}"

    def call(self, name: str, arguments: list[str]) -> str:
        return f"{name}\\left({', '.join(arguments)}\\right)"

    def function_name(self, function) -> str:
        known = function.latex if function.latex and "{" not in function.latex else None
        return known or self.reduction_name(function.name)

    def function(self, node: Apply, arguments: list[str]) -> str:
        if node.function.name == "sqrt":
            return f"\\sqrt{{{arguments[0]}}}"
        if node.function.name == "exp" and "\\frac" not in arguments[0] and "\\sum" not in arguments[0] and len(arguments[0]) <= 24:
            return f"e^{{{arguments[0]}}}"
        return super().function(node, arguments)

    def choice(self, condition: str, yes: str, no: str) -> Written:
        return f"\\begin{{cases}}{yes} & \\text{{if }} {condition}\\\\ {no} & \\text{{otherwise}}\\end{{cases}}", ATOM

    def delta(self, left: str, right: str) -> str:
        return f"\\delta_{{{left}{right}}}" if len(left) == len(right) == 1 else f"\\delta_{{{left},{right}}}"

    def joined(self, parts: list[str]) -> str:
        return f"\\left[{'; '.join(parts)}\\right]"

    def pi(self) -> str:
        return r"\pi"

    def reduction_name(self, operation: str) -> str:
        return {"max": r"\max", "min": r"\min"}.get(operation, f"\\operatorname{{{operation}}}".replace("_", r"\_"))

    def logarithm(self) -> str:
        return r"\log"


def _letter(name: str) -> str:
    """A label: one letter as it is, a word upright, primes behind."""
    stem = name.rstrip("'")
    return (stem if len(stem) == 1 else _word(stem)) + name[len(stem) :]


def _bare(string: str) -> str:
    """A denominator needs no parentheses of its own."""
    inner = string.removeprefix("\\left(").removesuffix("\\right)")
    whole = string.startswith("\\left(") and string.endswith("\\right)") and _balanced(inner)
    return inner if whole else string


def _balanced(string: str) -> bool:
    depth = 0
    for token in re.findall(r"\\left|\\right", string):
        depth += 1 if token == "\\left" else -1
        if depth < 0:
            return False
    return depth == 0

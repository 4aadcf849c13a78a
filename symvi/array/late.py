"""The few methods of expressions that need later floors, as late imports: `eval`, `diff`, `xreplace`, `explain`, LaTeX."""

from __future__ import annotations


def substitute(expression, rule):
    from symvi.array.substitution import substitute

    return substitute(expression, rule)


def grad(expression, variable):
    from symvi.calculus.derivatives import grad

    return grad(expression, variable)


def evaluate(expression, values, **options):
    from symvi.fit.function import evaluate

    return evaluate(expression, values, **options)


def explain(expression, **options):
    from symvi.fit.inspection import explain_expression

    return explain_expression(expression, **options)


def latex(expression):
    from symvi.expr.printing import latex

    return latex(expression)

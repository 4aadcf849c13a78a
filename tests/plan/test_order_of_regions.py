"""What a region reads was stored by a region before it."""

import symvi as sv
from symvi.fit.function import output_of
from symvi.plan.regions import Output, plan
from symvi.rules import simplify, stabilise

M, N = sv.dims("M N")


def read_from_memory(program, region):
    """The buffers of terms that a region does not compute itself."""
    own = {term for _, term in region.stores}
    stack, seen, found = list(own), set(), set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in program.of_term and node not in own:
            found.add(program.of_term[node])
        else:
            stack.extend(node.children)
    return found


def test_indices_that_another_pass_computes_come_first():
    """Rows of M and of M * N are two plates; a pass over the one reads quotients that a pass over the other fills."""
    A, C = (sv.param(name, M, M, init=1.0) for name in "AC")
    G, H = (sv.param(name, N, N, init=1.0) for name in "GH")
    weights, rows = sv.data("weights", M * N, M * N), sv.data("rows", M, M)
    product = sv.kron(A, G) @ sv.kron(C, H)
    outputs = [output_of("product", product), output_of("cost", sv.sum(weights * product) + sv.sum(rows * C))]
    terms = simplify(stabilise([output.term for output in outputs]))
    program = plan([Output(output.name, term, output.axes) for output, term in zip(outputs, terms, strict=True)])
    assert len(program.steps) > 2
    stored = set()
    for region in program.steps:
        stored |= {buffer for buffer, _ in region.stores}
        assert read_from_memory(program, region) <= stored

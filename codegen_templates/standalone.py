"""Runs one kernel by the names of its inputs: the last part of a file that needs no symvi."""
import numpy as np

from symvi.codegen_templates.operators import (
    ELIMINATION,
    OPERATOR_WORDS,
    OPERATORS,
    ORDER,
    TILES,
    late_address,
    operator_address,
    works_in_tiles,
)
from symvi.codegen_templates.program import run_program
from symvi.codegen_templates.tables import BLOCK

KINDS = {"i": np.int64, "b": np.bool_, "pivot": np.int32}


class Kernel:
    """A kernel on given arrays: `manifest` says what stands where, `functions` are its compiled functions by name."""

    def __init__(self, manifest, functions):
        self.manifest, self.functions = manifest, functions
        self.real = np.dtype(manifest["dtype"])
        self.inputs = [entry for entry in manifest["buffers"] if entry["role"] == "input"]

    def extent(self, dim, sizes):
        """The extent of a dim: a sum of products of sizes."""
        return sum(coefficient * int(np.prod([sizes[name] for name in names], dtype=np.int64)) for coefficient, names in dim)

    def find_sizes(self, arrays, given):
        """Every size, from the shapes of the arrays; what they do not tell is in `given`."""
        sizes = dict(given)
        for entry in self.inputs:
            for dim, length in zip(entry["dims"], arrays[entry["name"]].shape):
                unknown = [name for _, names in dim for name in names if name not in sizes]
                if len(unknown) == 1:
                    offset = self.extent(dim, {**sizes, unknown[0]: 0})
                    sizes[unknown[0]] = (length - offset) // (self.extent(dim, {**sizes, unknown[0]: 1}) - offset)
        for entry in self.inputs:
            expected = tuple(self.extent(dim, sizes) for dim in entry["dims"])
            if arrays[entry["name"]].shape != expected:
                raise ValueError(f"{entry['name']} has the shape {arrays[entry['name']].shape}, the other arrays imply {expected}")
        return sizes

    def dtype(self, entry):
        return self.real if entry["kind"] == "f" else np.dtype(KINDS[entry["kind"]])

    def as_array(self, value, entry):
        """The value as the contiguous array that the kernel reads, its axes in the order of the manifest."""
        array = np.asarray(value, dtype=self.dtype(entry))
        if "order" in entry:
            array = array.transpose(entry["order"])
        return np.ascontiguousarray(array).reshape(array.shape)

    def run(self, inputs, seed=0, step=0, sizes=()):
        """{name: array} of every result. `inputs` maps names to arrays, axes of extent 1 left out; draws belong to (seed, step)."""
        manifest = self.manifest
        arrays = {entry["name"]: self.as_array(inputs[entry["name"]], entry) for entry in self.inputs}
        sizes = self.find_sizes(arrays, dict(sizes))
        for entry in manifest["buffers"]:
            if entry["role"] != "input":
                shape = [BLOCK if k == entry["block"] else self.extent(dim, sizes) for k, dim in enumerate(entry["dims"])]
                arrays[entry["name"]] = np.zeros(shape, dtype=self.dtype(entry))
        key = np.array([seed, 0, step], dtype=np.int64)
        table = np.zeros(manifest["table"] + len(manifest["steps"]), dtype=np.int64)
        for size, extent_slot, full_slot in manifest["sizes"]:
            table[extent_slot] = table[full_slot] = sizes[size]
        for entry in manifest["buffers"]:
            table[entry["slot"]] = arrays[entry["name"]].ctypes.data
        program, kept = [], []
        for number, each in enumerate(manifest["steps"]):
            rows = manifest["table"] + number  # the slot that says how many rows a step has
            if "function" in each:
                table[rows] = self.extent(each["plate"], sizes) if each["plate"] is not None else 0
                program.append((self.functions[each["function"]].address, table.ctypes.data, rows))
                continue
            if "draw" in each:
                described, table[rows] = self.describe_draw(arrays[each["buffer"]], each["site"], each["row_axis"], key)
                address = self.operator("draw_" + each["draw"])
            else:
                described = self.describe_operator(each, arrays, sizes)
                address = self.operator(each["operator"])
            kept.append(described)
            program.append((address, described.ctypes.data, rows))
        for slot, name, kind, site, axis in manifest["block_draws"]:
            described, _ = self.describe_draw(arrays[name], site, axis, key)
            kept.append(described)
            table[slot], table[slot + 1] = self.operator("draw_" + kind), described.ctypes.data
        status = run_program(np.array(program, dtype=np.int64).reshape(len(program), 3), table)
        if status != 0:
            failed = manifest["steps"][(status & 0xFFFFFFFF) - 1]
            what = f"{failed['operator']} of {failed['about']} ({failed['site']})" if "operator" in failed else failed["function"]
            raise FloatingPointError(f"{what} failed")
        return {entry["name"]: arrays[entry["name"]] for entry in manifest["buffers"] if entry["role"] == "output"}

    def operator(self, name):
        return operator_address(name, self.real.itemsize)

    def describe_operator(self, step, arrays, sizes):
        """[itemsize, batch, order, columns, flag, addresses ...], and where elimination and tiles are."""
        batch = int(np.prod([self.extent(dim, sizes) for dim in step["batch"]], dtype=np.int64))
        flag = step["flag"] if isinstance(step["flag"], int) else self.extent(step["flag"], sizes)
        described = np.zeros(OPERATOR_WORDS, dtype=np.int64)
        described[:5] = self.real.itemsize, batch, self.extent(step["order"], sizes), self.extent(step["columns"], sizes), flag
        for position, name in enumerate(step["buffers"]):
            described[5 + position] = arrays[name].ctypes.data
        if "elimination" in OPERATORS:
            described[ELIMINATION] = late_address("elimination", self.real.itemsize)
        if works_in_tiles(step["operator"], described[ORDER]):
            described[TILES] = self.operator("tiles")
        return described

    def describe_draw(self, array, site, axis, key):
        """[itemsize, particles, rows, width, site, addresses of the array and the key, no row numbers]; and the number of rows."""
        shape = array.shape or (1,)
        particles, width = (int(np.prod(part, dtype=np.int64)) for part in (shape[:axis], shape[axis + 1 :]))
        numbers = [array.itemsize, particles, shape[axis], width, site, array.ctypes.data, key.ctypes.data, key.ctypes.data, 0]
        return np.array(numbers, dtype=np.int64), shape[axis]

    def value_and_grad(self, inputs, seed=0, step=0, sizes=()):
        """The first result, and the gradients as {name of the parameter: array}."""
        results = self.run(inputs, seed, step, sizes)
        value = next(iter(results.values()))
        return (value.item() if value.ndim == 0 else value), {name[2:]: array for name, array in results.items() if name.startswith("g_")}

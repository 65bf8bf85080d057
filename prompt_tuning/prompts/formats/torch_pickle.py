"""Parses the pickle inside a file of `torch.save` as data.

Nothing is unpickled: no name in it is imported, nothing is called. Only the few opcodes and names
that `torch.save` writes for tensors in dictionaries are accepted.
"""

import dataclasses
import pickletools
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """Describes a tensor and where its numbers are.

    Attributes:
        storage: The name of its storage in the file.
        dtype: The dtype of the storage.
        count: The number of elements in the storage.
        offset: The index of the tensor's first element in the storage.
        shape: Its shape.
        strides: Its strides in elements, one per axis.
    """

    storage: str
    dtype: np.dtype
    count: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def parse_pickle(pickled: bytes) -> Any:
    """Returns what a pickle describes: a `Tensor`, or dictionaries and lists that contain some.

    Raises:
        ValueError: It is damaged, or has opcodes or names that tensors do not need.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for opcode, argument, position in pickletools.genops(pickled):
            if opcode.name == "STOP":
                if len(stack) != 1 or position != len(pickled) - 1:
                    break
                return stack[0]
            _apply(opcode.name, argument, stack, memo)
    except (IndexError, KeyError, TypeError, StopIteration) as error:
        raise ValueError(f"damaged ({type(error).__name__})") from error
    raise ValueError("damaged")


@dataclasses.dataclass(frozen=True)
class _Name:
    """The name of a class or function, which is not imported."""

    text: str


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    count: int


_DICTIONARY = _Name("collections.OrderedDict")
_TENSOR = _Name("torch._utils._rebuild_tensor_v2")
_PARAMETER = _Name("torch._utils._rebuild_parameter")
_DTYPES = {
    _Name("torch.FloatStorage"): np.dtype(np.float32),
    _Name("torch.DoubleStorage"): np.dtype(np.float64),
    _Name("torch.HalfStorage"): np.dtype(np.float16),
    _Name("torch.BFloat16Storage"): np.dtype(ml_dtypes.bfloat16),
    _Name("torch.LongStorage"): np.dtype(np.int64),
}
_NAMES = {_DICTIONARY, _TENSOR, _PARAMETER, *_DTYPES}
_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _apply(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    """Applies an opcode to the stack and the memo."""
    if name in _CONSTANTS:
        stack.append(_CONSTANTS[name])
    elif name in _LITERALS:
        stack.append(argument)
    elif name in ("BINPUT", "LONG_BINPUT"):
        memo[argument] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    elif name == "GLOBAL":
        stack.append(_known(argument.replace(" ", ".", 1)))
    elif name == "STACK_GLOBAL":
        module, member = _last(stack, 2)
        stack.append(_known(f"{module}.{member}"))
    elif name == "REDUCE":
        function, arguments = _last(stack, 2)
        stack.append(_call(function, arguments))
    elif name == "BINPERSID":
        stack.append(_storage(stack.pop()))
    elif name == "BUILD":  # Sets attributes, such as the module versions of a state dictionary.
        whole, attributes = _last(stack, 2)
        if type(whole) is not dict or type(attributes) is not dict:
            raise ValueError("it sets the state of an object")
        stack.append(whole)
    elif name not in ("PROTO", "FRAME"):
        _collect(name, stack)


def _collect(name: str, stack: list[Any]) -> None:
    """Applies an opcode of tuples, lists and dictionaries."""
    if name == "MARK":
        stack.append(_MARK)
    elif name == "EMPTY_TUPLE":
        stack.append(())
    elif name in _TUPLES:
        stack.append(tuple(_last(stack, _TUPLES[name])))
    elif name == "TUPLE":
        stack.append(tuple(_marked(stack)))
    elif name == "EMPTY_LIST":
        stack.append([])
    elif name in ("APPEND", "APPENDS"):
        items = _marked(stack) if name == "APPENDS" else _last(stack, 1)
        _top(list, stack).extend(items)
    elif name == "EMPTY_DICT":
        stack.append({})
    elif name in ("SETITEM", "SETITEMS"):
        items = _marked(stack) if name == "SETITEMS" else _last(stack, 2)
        keys, values = items[::2], items[1::2]
        if len(keys) != len(values) or not all(type(key) in (str, int) for key in keys):
            raise ValueError("it has a dictionary with keys other than names and numbers")
        _top(dict, stack).update(zip(keys, values, strict=True))
    else:
        raise ValueError(f"it has the opcode {name}")


def _last(stack: list[Any], count: int) -> list[Any]:
    """Pops the last `count` items."""
    if len(stack) < count:
        raise ValueError("damaged")
    items = stack[len(stack) - count :]
    del stack[len(stack) - count :]
    return items


def _marked(stack: list[Any]) -> list[Any]:
    """Pops the last mark and the items after it; returns the items."""
    depth = next(i for i, item in enumerate(reversed(stack), 1) if item is _MARK)
    return _last(stack, depth)[1:]


def _top(kind: type, stack: list[Any]) -> Any:
    """Returns the last item, which must be of a type."""
    if type(stack[-1]) is not kind:
        raise ValueError("damaged")
    return stack[-1]


def _known(text: str) -> _Name:
    if _Name(text) not in _NAMES:
        raise ValueError(f"it names {text[:60]!r}")
    return _Name(text)


def _call(function: Any, arguments: Any) -> Any:
    """Returns a description of what a call of one of the known functions would return."""
    if type(arguments) is not tuple:
        raise ValueError("damaged")
    if function == _DICTIONARY and not arguments:
        return {}
    if function == _PARAMETER and len(arguments) == 3 and isinstance(arguments[0], Tensor):
        return arguments[0]
    if function == _TENSOR and len(arguments) == 6 and isinstance(arguments[0], _Storage):
        storage, offset, shape, strides = arguments[:4]
        if type(shape) is tuple and type(strides) is tuple:
            numbers = (offset, *shape, *strides)
            if len(shape) == len(strides) and all(type(n) is int and n >= 0 for n in numbers):
                return Tensor(storage.key, storage.dtype, storage.count, offset, shape, strides)
    raise ValueError("it has an unknown call")


def _storage(identity: Any) -> _Storage:
    match identity:
        case ("storage", _Name() as kind, str(key), str(), int(count)) if kind in _DTYPES:
            return _Storage(key, _DTYPES[kind], count)
    raise ValueError("it refers to something that is not a storage of numbers")

"""A consumer of DLPack, written from its specification with ctypes: what a capsule holds, and taking it."""
import ctypes

CPU, CUDA = 1, 2
INT, UINT, FLOAT, BFLOAT = 0, 1, 2, 4
READ_ONLY, IS_COPIED = 1, 2


class Device(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int32), ("number", ctypes.c_int32)]


class Type(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device", Device), ("dimensions", ctypes.c_int32), ("type", Type),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64)]


class Managed(ctypes.Structure):
    pass


class ManagedVersioned(ctypes.Structure):
    pass


DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
Managed._fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", DELETER)]
ManagedVersioned._fields_ = [("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
                             ("deleter", DELETER), ("flags", ctypes.c_uint64), ("tensor", Tensor)]

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_name = ctypes.pythonapi.PyCapsule_GetName
_name.restype, _name.argtypes = ctypes.c_char_p, [ctypes.py_object]
_rename = ctypes.pythonapi.PyCapsule_SetName
_rename.argtypes = [ctypes.py_object, ctypes.c_char_p]


class Taken:
    """A tensor that was taken out of its capsule. `drop` may be called in any thread."""

    KEPT = (b"used_dltensor", b"used_dltensor_versioned")  # a capsule keeps only the pointer

    def __init__(self, capsule):
        name = _name(capsule)
        self.versioned = name == b"dltensor_versioned"
        assert self.versioned or name == b"dltensor", name
        self.address = _pointer(capsule, name)
        self.managed = (ManagedVersioned if self.versioned else Managed).from_address(self.address)
        assert _rename(capsule, self.KEPT[self.versioned]) == 0
        tensor = self.managed.tensor
        self.shape = tuple(tensor.shape[: tensor.dimensions])
        self.strides = tuple(tensor.strides[: tensor.dimensions])
        self.type = (tensor.type.kind, tensor.type.bits, tensor.type.lanes)
        self.device = (tensor.device.kind, tensor.device.number)
        self.data = tensor.data + tensor.byte_offset
        self.flags = self.managed.flags if self.versioned else None

    def bytes(self):
        size = self.type[1] // 8
        for extent in self.shape:
            size *= extent
        return ctypes.string_at(self.data, size)

    def drop(self):
        self.managed.deleter(self.address)

"""The emulated CUDA runtime, for tests in Python: what a user of device memory does, and what the emulator has to say about it.

The process finds it on the way of the real one: AN_DECODE_MODULE names a module that was linked with it."""
import ctypes
import os

PATH = os.environ["AN_EMULATOR"]
LEGACY, PER_THREAD = 1, 2  # default streams
_DEVICE_TO_HOST, _NON_BLOCKING = 2, 1


class _Counters(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("allocations", "host_waits", "to_device", "from_device", "peer", "within", "pageable",
                                                     "operations", "timings", "launches", "graphs")]


_library = ctypes.CDLL(PATH)
_library.emu_count.restype = _Counters
for _name, _types in {"cudaMemcpyAsync": [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p],
                      "cudaStreamSynchronize": [ctypes.c_void_p], "cudaStreamDestroy": [ctypes.c_void_p],
                      "cudaStreamCreateWithFlags": [ctypes.c_void_p, ctypes.c_uint],
                      "cudaHostAlloc": [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint], "cudaFreeHost": [ctypes.c_void_p],
                      "emu_violations": [ctypes.c_char_p, ctypes.c_size_t], "emu_stop_stream": [ctypes.c_void_p, ctypes.c_bool]}.items():
    getattr(_library, _name).argtypes = _types


def _check(status):
    assert status == 0, status


def stream():
    """A new stream of device 0, as a number."""
    out = ctypes.c_void_p()
    _check(_library.cudaStreamCreateWithFlags(ctypes.byref(out), _NON_BLOCKING))
    return out.value


def wait(handle):
    _check(_library.cudaStreamSynchronize(handle))


def stop(handle, stopped=True):
    """The stream does nothing of what it is given, until it may go on."""
    _library.emu_stop_stream(handle, stopped)


def violations():
    """How many since the last call, and the first. From the first call on they do not end the process."""
    text = ctypes.create_string_buffer(512)
    return _library.emu_violations(text, len(text)), text.value.decode()


def allocations():
    return _library.emu_count().allocations


class Copy:
    """A copy of device memory, queued on a stream."""

    def __init__(self, data, size, handle):
        self.size, self.stream, self.pinned = size, handle, ctypes.c_void_p()
        _check(_library.cudaHostAlloc(ctypes.byref(self.pinned), size, 1))
        _check(_library.cudaMemcpyAsync(self.pinned, data, size, _DEVICE_TO_HOST, handle))

    def bytes(self):
        """Waits for the stream; once."""
        wait(self.stream)
        out = ctypes.string_at(self.pinned, self.size)
        _check(_library.cudaFreeHost(self.pinned))
        return out

"""Kernels on a CUDA device: twins of ``neuromem.kernels.cpu`` by name and signature, on device arrays.

Every subject has a file of CUDA C and one of Python beside it, which launches it. Arrays that a function takes and returns are CuPy's;
``runtime.put`` and ``runtime.get`` are the only ways between host and device. ``threads`` is taken, as the twins do, and means nothing here.
"""

"""The capacity laboratory: how many patterns a memory holds, measured, with theory beside it.

``theory_*`` are formulas of numbers, one family a file; ``search`` finds the largest load that
meets a criterion; ``intervals`` and ``fits`` turn what was measured into figures with errors;
``information`` says what a bit per synapse is.
"""

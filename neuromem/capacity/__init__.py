"""The capacity laboratory: how many patterns a memory holds, measured, with theory (``neuromem.theory``) beside it.

``criteria`` says what must hold, ``task`` of which patterns and cues, ``streams`` draws them, ``measure`` measures one load, ``search``
finds the largest that meets the criterion, and ``study`` does all of it over seeds. ``predictions`` chooses the theory, ``draw`` and
``report`` show the result; ``intervals`` and ``fits`` turn what was measured into figures with errors.
"""

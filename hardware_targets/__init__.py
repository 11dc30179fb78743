"""Boards and exchange formats: their limits with sources, fitters and exporters. A target never imports a backend."""

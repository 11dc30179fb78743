"""SpiNNaker boards: limits, fitting, the export package, the virtual mapping, and the real binaries in an emulator."""

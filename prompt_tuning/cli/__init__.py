"""The commands. Only this package and `configurables` import gin."""

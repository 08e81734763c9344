"""Profiles of the property-based tests: ``quick`` for each commit, the full one for everything else."""

from hypothesis import HealthCheck, settings

# A busy machine is no fault of the code: tests assert no times.
settings.register_profile("full", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("full"), max_examples=20)
settings.load_profile("full")

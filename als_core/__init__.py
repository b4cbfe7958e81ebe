"""als_core: data, models, training, explanation and evidence behind the ALS Imaging Companion.

Floors, from the ground up; a module imports only from floors below its own:
statistics, images, cohorts, models, training, explain, evidence, figures, pages.
`refusal` and `storage` lie under all of them.
"""

__version__ = "0.1.0"

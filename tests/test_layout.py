"""Every source file has a test file of its name at the same place, or a line in `TESTED_IN`.

A line names a source file, or a folder whose files are tested together, and the test files (paths in `tests`).
"""

from pathlib import Path

import pytest

from harness.processes import ROOT

SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("api", "chainrule", "core", "worker")
    for path in (ROOT / folder).rglob("*.py")
    if path.name != "__init__.py"
)

TESTED_IN: dict[str, tuple[str, ...]] = {
    "api/dependencies.py": ("api/conftest.py", "api/routes/test_jobs.py"),
    "api/http/body.py": ("api/http/test_limits.py", "api/routes/test_jobs.py"),
    "api/http/errors.py": ("api/http/test_problem_types.py",),
    "api/http/parameters.py": ("api/routes/test_jobs.py",),
    "api/http/patterns.py": ("api/http/test_pointers.py",),
    "api/http/responses.py": ("api/routes/test_jobs.py", "api/routes/test_metrics.py"),
    "api/http/suggestions.py": ("api/http/test_faults.py",),
    "api/http/tus.py": ("api/routes/test_uploads.py",),
    "api/schemas/": ("api/routes/test_jobs.py", "api/end_to_end/test_openapi_contract.py"),
    "api/schemas/dataset.py": ("api/routes/test_datasets.py",),
    "api/schemas/examples.py": ("api/http/test_openapi.py",),
    "api/schemas/inspection.py": ("api/routes/test_inspect.py",),
    "api/schemas/metrics.py": ("api/routes/test_metrics.py",),
    "api/schemas/prediction.py": ("api/routes/test_predictions.py",),
    "api/schemas/profile.py": ("api/routes/test_profile.py",),
    "api/services/compute_process.py": ("api/services/test_compute_pool.py",),
    "api/services/dataset_profile.py": ("api/routes/test_profile.py",),
    "api/services/dataset_rows.py": ("api/routes/test_datasets.py",),
    "api/services/identifiers.py": ("api/routes/test_jobs.py", "api/http/test_openapi.py"),
    "api/services/inspection.py": ("api/routes/test_inspect.py",),
    "api/services/job_creation.py": ("api/routes/test_jobs.py",),
    "api/services/prediction.py": ("api/routes/test_predictions.py",),
    "api/services/prediction_forms.py": ("api/routes/test_predictions.py",),
    "api/services/readiness.py": ("api/routes/test_health.py",),
    "api/services/resumable_upload.py": ("api/routes/test_uploads.py",),
    "api/services/split_rows.py": ("api/routes/test_split.py",),
    "api/services/upload.py": ("api/routes/test_datasets.py",),
    "chainrule/__main__.py": ("test_secrets.py",),
    "chainrule/child_process.py": ("chainrule/test_up.py",),
    "chainrule/demo.py": ("chainrule/test_cli.py",),
    "chainrule/service.py": ("chainrule/test_up.py",),
    "chainrule/terminal.py": ("chainrule/test_up.py",),
    "core/blobs/": ("core/blobs/test_folder.py", "core/blobs/test_bucket.py"),
    "core/data/encoders/boolean.py": ("core/data/encoders/test_values.py",),
    "core/data/encoders/embedding.py": ("core/data/encoders/test_values.py",),
    "core/data/encoders/encoder.py": ("core/data/encoders/test_encoders.py",),
    "core/data/encoders/hashing.py": ("core/data/encoders/test_values.py",),
    "core/data/encoders/log.py": ("core/data/encoders/test_numbers.py",),
    "core/data/encoders/log_mel.py": ("core/data/encoders/test_sound.py",),
    "core/data/encoders/mfcc.py": ("core/data/encoders/test_sound.py",),
    "core/data/encoders/min_max.py": ("core/data/encoders/test_numbers.py",),
    "core/data/encoders/none.py": ("core/data/encoders/test_numbers.py",),
    "core/data/encoders/quantile.py": ("core/data/encoders/test_numbers.py",),
    "core/data/encoders/robust.py": ("core/data/encoders/test_numbers.py",),
    "core/data/encoders/spectrum.py": ("core/data/encoders/test_sound.py",),
    "core/data/encoders/tags.py": ("core/data/encoders/test_values.py",),
    "core/data/encoders/vector.py": ("core/data/encoders/test_values.py",),
    "core/data/encoders/waveform.py": ("core/data/encoders/test_sound.py",),
    "core/data/errors.py": ("api/http/test_problem_types.py",),
    "core/data/profile/": ("core/data/profile/test_profile.py",),
    "core/data/readers/archives/": ("core/data/readers/archives/test_archive.py",),
    "core/data/readers/cell_table.py": ("core/data/readers/test_csv.py", "core/data/readers/test_parquet.py"),
    "core/data/readers/csv/": ("core/data/readers/test_csv.py", "core/data/readers/test_csv_forms.py"),
    "core/data/readers/numpy_array.py": ("core/data/readers/test_npy.py", "core/data/readers/test_npz.py"),
    "core/data/readers/reader.py": ("core/data/readers/test_readers.py",),
    "core/data/readers/tables/": ("core/data/readers/test_csv_forms.py", "core/data/readers/test_parquet.py"),
    "core/data/sources/": ("core/data/sources/test_sources.py",),
    "core/data/targets/target.py": ("core/data/targets/test_targets.py",),
    "core/jobs/errors.py": ("api/http/test_problem_types.py",),
    "core/jobs/examples.py": ("test_straight_line.py",),
    "core/nn/execution/accelerators.py": ("core/nn/execution/test_removed.py", "core/nn/execution/test_replay.py"),
    "core/nn/execution/random_streams.py": ("core/nn/execution/test_sharding.py",),
    "core/nn/execution/segments.py": ("core/nn/execution/test_replay.py", "core/nn/execution/test_sharding.py"),
    "core/nn/execution/traced_arrays.py": ("core/nn/execution/test_replay.py",),
    "core/nn/layers/": ("core/nn/insight/test_gradient_check.py", "core/nn/layers/test_layers_against_torch.py"),
    "core/nn/losses/": ("core/nn/losses/test_losses_against_torch.py",),
    "core/nn/metrics/": ("core/nn/metrics/test_metrics.py", "core/nn/metrics/test_metrics_against_sklearn.py"),
    "core/nn/optimizers/": ("core/nn/optimizers/test_optimizers_against_torch.py",),
    "core/nn/predictor.py": ("core/nn/test_network.py",),
    "core/nn/step/reevaluation.py": ("core/nn/training/test_learner.py", "core/nn/optimizers/test_wrappers.py"),
    "core/nn/step/state.py": ("core/nn/training/test_learner.py", "core/models/test_resuming.py"),
    "core/nn/step/step.py": (
        "core/nn/training/test_learner.py",
        "core/nn/training/test_training_against_references.py",
    ),
    "core/nn/training/data.py": ("core/data/test_prepare.py",),
    "core/nn/training/options.py": ("core/nn/training/test_learner.py",),
    "core/store/backup.py": ("chainrule/test_backup.py",),
    "core/store/errors.py": ("api/http/test_problem_types.py",),
    "core/store/guards.py": ("core/store/test_leases.py", "core/store/test_protocol.py"),
    "core/store/migrate.py": ("test_migrations.py",),
    "core/store/pagination.py": ("core/store/test_jobs.py",),
    "core/store/predictions.py": ("api/routes/test_predictions.py",),
    "core/store/tables.py": ("test_migrations.py",),
    "core/store/transitions.py": ("core/store/test_jobs.py", "core/store/test_protocol.py"),
    "core/store/warm_starts.py": ("api/services/test_warm_start.py", "api/end_to_end/test_continuation.py"),
    "core/store/writable.py": ("api/routes/test_health.py",),
    "worker/acks.py": ("worker/test_process.py",),
    "worker/app.py": ("worker/test_process.py",),
    "worker/claim_loop.py": ("worker/test_process.py", "worker/run/test_run.py"),
    "worker/context.py": ("worker/run/test_run.py",),
    "worker/run/checkpointer.py": ("worker/run/test_run.py", "worker/run/test_reproducibility.py"),
    "worker/run/errors.py": ("worker/run/test_run.py",),
    "worker/run/prepared_job.py": ("worker/run/test_run.py",),
    "worker/run/write_batch.py": ("worker/run/test_writer.py",),
}


def mirrored_test(source: str) -> Path:
    """Return the path of the test file with the source file's name."""
    return ROOT / "tests" / Path(source).with_name(f"test_{Path(source).name}")


@pytest.mark.parametrize("source", SOURCES)
def test_source_file_has_a_test_file_or_a_line(source: str) -> None:
    folders = [f"{folder.as_posix()}/" for folder in Path(source).parents]
    assert mirrored_test(source).exists() or any(key in TESTED_IN for key in [source, *folders]), (
        f"add tests/{Path(source).with_name('test_' + Path(source).name)}, or a line to TESTED_IN"
    )


@pytest.mark.parametrize(("source", "tests"), TESTED_IN.items())
def test_line_names_existing_files(source: str, tests: tuple[str, ...]) -> None:
    assert (ROOT / source).exists(), f"{source} does not exist: correct or remove its line"
    assert not mirrored_test(source).exists(), f"{source} has a test file of its name: remove its line"
    for test in tests:
        assert (ROOT / "tests" / test).exists(), f"the line of {source} names tests/{test}, which does not exist"


def test_lines_are_sorted() -> None:
    assert list(TESTED_IN) == sorted(TESTED_IN)

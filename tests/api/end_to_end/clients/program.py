"""Posts y = 2x with the client that openapi-python-client makes, follows the job to its end, and predicts."""

import json
import sys

from chainrule_client import Client
from chainrule_client.api.jobs import create_job, get_job, list_jobs, predict_with_job, resume_job, stream_events
from chainrule_client.models import Job, JobSpec, PredictionRequest

SPEC = {
    "data": {"type": "inline", "x": [[1], [2], [3], [4], [5]], "y": [[2], [4], [6], [8], [10]]},
    "architecture": {"layers": [{"type": "dense", "units": 1, "use_bias": False}]},
    "loss": {"type": "mean_squared_error"},
    "optimizer": {"type": "sgd", "learning_rate": 0.01},
    "training": {"epochs": 100, "batch_size": 5, "shuffle": False, "seed": 7},
    "metadata": {"client": "python"},
}

client = Client(base_url=sys.argv[1], timeout=60)
created = create_job.sync(client=client, body=JobSpec.from_dict(SPEC))
assert isinstance(created, Job), created
events = stream_events.sync_detailed(created.id, client=client)
job = get_job.sync(created.id, client=client)
listed = list_jobs.sync(client=client, limit=1)
predicted = predict_with_job.sync(created.id, client=client, body=PredictionRequest(instances=[[6]]))
refused = resume_job.sync(created.id, client=client)
sys.stdout.write(
    json.dumps(
        {
            "events": events.content.decode(),
            "status": job.status,
            "listed": [one.id for one in listed.items],
            "id": created.id,
            "value": predicted.predictions[0]["value"],
            "code": refused.code,
        }
    )
)

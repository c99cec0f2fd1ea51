"""A Tailrace sync as an asset downstream of the model it reads. Dagster 1.8 or newer; TAILRACE_URL and TAILRACE_API_TOKEN are set."""

import os

import dagster as dg

import tailrace

SYNC = "customers-to-hubspot"


@dg.asset(deps=["customers"], retry_policy=dg.RetryPolicy(max_retries=2, delay=300), kinds={"tailrace", "hubspot"})
def customers_in_hubspot(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    api = tailrace.Api(os.environ["TAILRACE_URL"], os.environ.get("TAILRACE_API_TOKEN"))
    # A step that is tried again asks for a new run; the same try, carried out twice, gets the run that it began.
    key = f"{context.run_id}/{context.op_execution_context.op.name}/{context.retry_number}"
    run = api.wait(api.start(SYNC, key))
    if run["state"] != "succeeded":
        # A run that only owes records would owe them again.
        raise dg.Failure(tailrace.describe(run), allow_retries=run["state"] == "failed")
    return dg.MaterializeResult(metadata={"run": run["temporal"]["url"] or run["id"], **run["counts"]})


defs = dg.Definitions(assets=[customers_in_hubspot])

"""Starts a Tailrace sync after the models it reads are fresh, and fails the task unless the run succeeded.

Airflow 3. The connection `tailrace` (type HTTP) holds the API's address as host, for example https://tailrace.example.com,
and the token as password.
"""

from __future__ import annotations

import pendulum
from airflow.exceptions import AirflowException
from airflow.sdk import BaseHook, dag, task

import tailrace

SYNC = "customers-to-hubspot"


@dag(schedule="0 6 * * *", start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False, tags=["tailrace"])
def customers_to_hubspot():
    @task(retries=2, retry_delay=pendulum.duration(minutes=5))
    def sync(ti=None) -> dict[str, int]:
        connection = BaseHook.get_connection("tailrace")
        api = tailrace.Api(connection.host, connection.password)
        # A task that is tried again asks for a new run; the same try, carried out twice, gets the run that it began.
        key = f"{ti.run_id}/{ti.task_id}/{ti.try_number}"
        run = api.wait(api.start(SYNC, key))
        if run["state"] != "succeeded":
            raise AirflowException(tailrace.describe(run))
        return run["counts"]

    sync()


customers_to_hubspot()

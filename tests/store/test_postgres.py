import secrets
import psycopg, pytest
from tasktrail.store.postgres import PostgresStore
from tasktrail.testing import StoreContract
from tests.store.stores import spin

DSN = "host=/tmp/tt/pgs user=postgres"

class TestPostgres(StoreContract):
    database = "postgres"
    examples = 10

    def await_queued(self, store, callers):
        spin(lambda: len(store._group._waiting) == callers)

    def await_writer(self, store, written):
        spin(written)

    @pytest.fixture
    def store(self):
        name = "t" + secrets.token_hex(6)
        store = PostgresStore(f"postgresql://postgres@/postgres?host=/tmp/tt/pgs&schema={name}", busy_s=10)
        yield store
        store.close()
        with psycopg.connect(DSN, autocommit=True) as c:
            c.execute(f"drop schema {name} cascade")

import pytest
from service import Careful, Careless, Client, serving


def pytest_addoption(parser):
    parser.addoption("--careless", action="store_true", help="test the service that has faults")


@pytest.fixture
def careful(request):
    return not request.config.getoption("--careless")


@pytest.fixture
def port(careful):
    with serving(Careful if careful else Careless) as port:
        yield port


@pytest.fixture
def client(port, careful):
    client = Client(port, careful)
    yield client
    client.close()

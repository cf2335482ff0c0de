"""A control plane as it is exposed: TLS, certificates of clients, tokens, on both of its addresses."""

import http.client
import shutil
import signal
import socket
import ssl
import subprocess
import sys

import pytest

from tests.fixtures.ports import free_port
from tests.pipelines import wait_for

TOKEN = "s3cret-of-ada"


def made_certificate(folder, name):
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
            "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    key.chmod(0o600)
    return certificate, key


class Exposed:
    """``deltaforge serve`` with everything that ``docs/security.md`` tells to give it."""

    def __init__(self, folder):
        self.folder = folder
        self.certificate, self.key = made_certificate(folder, "server")
        self.client = made_certificate(folder, "client")
        token_file = folder / "tokens"
        token_file.write_text(f"admin:ada:{TOKEN}\n")
        token_file.chmod(0o600)
        first = free_port(2)
        self.ports = [first, first + 1]
        api, metrics = (f"127.0.0.1:{port}" for port in self.ports)
        command = [sys.executable, "-P", "-m", "deltaforge", "serve", "--api-addr", api, "--metrics-addr", metrics]
        command += [
            "--state-dir",
            folder / "state",
            "--storage-path",
            folder / "state/df.db",
            "--token-file",
            token_file,
        ]
        command += ["--tls-cert", self.certificate, "--tls-key", self.key, "--tls-client-ca", self.client[0]]
        self.process = subprocess.Popen(command)

    def context(self, *, client=None, trusts=None):
        context = ssl.create_default_context(cafile=str(trusts or self.certificate))
        if client is not None:
            context.load_cert_chain(*client)
        return context

    def status(self, port, path, context, **headers):
        connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=context)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def is_up(self):
        assert self.process.poll() is None
        try:
            return self.status(self.ports[0], "/health", self.context(client=self.client)) == 200
        except OSError:
            return False


@pytest.fixture
def exposed(tmp_path):
    exposed = Exposed(tmp_path)
    try:
        wait_for(exposed.is_up)
        yield exposed
    finally:
        exposed.process.send_signal(signal.SIGTERM)
        assert exposed.process.wait(60) == 0


def test_an_exposed_server_answers_whom_it_should(exposed, tmp_path):
    api, metrics = exposed.ports
    known = exposed.context(client=exposed.client)
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert exposed.status(api, "/health", known) == 200
    assert [exposed.status(port, "/metrics", known) for port in exposed.ports] == [401, 401]
    assert [exposed.status(port, "/metrics", known, **bearer) for port in exposed.ports] == [200, 200]
    assert exposed.status(api, "/pipelines", known, **bearer) == 200
    stranger = made_certificate(tmp_path, "stranger")
    for context in (exposed.context(), exposed.context(client=stranger)):
        for port in (api, metrics):
            with pytest.raises(
                OSError
            ):  # TLS 1.3 tells a client with the first answer that its certificate will not do
                exposed.status(port, "/health", context, **bearer)
    with socket.create_connection(("127.0.0.1", api), timeout=10) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" not in plain.recv(1000)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    url = f"https://localhost:{api}"
    command = [sys.executable, "-P", "-m", "deltaforge", "list", "--server", url, "--ca", exposed.certificate]
    command += ["--cert", exposed.client[0], "--key", exposed.client[1], "--token-file", tmp_path / "token"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_new_certificate_is_shown_without_a_restart(exposed, tmp_path):
    (tmp_path / "next").mkdir()
    certificate, key = made_certificate(tmp_path / "next", "server")
    shutil.copy(key, exposed.key)
    shutil.copy(certificate, exposed.certificate)
    context = exposed.context(client=exposed.client, trusts=certificate)

    def is_new():
        try:
            return exposed.status(exposed.ports[0], "/health", context) == 200
        except ssl.SSLCertVerificationError:
            return False

    wait_for(is_new)

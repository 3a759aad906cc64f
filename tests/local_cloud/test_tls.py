import datetime as dt
import socket
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from local_cloud import tls


def test_a_client_that_trusts_the_authority_reaches_the_server_by_address_and_by_name(tmp_path):
    material = tls.ensure(tmp_path)

    for name in ("127.0.0.1", "localhost"):
        assert hello(material, name) == "hello"


def test_the_material_is_kept_until_it_is_about_to_end(tmp_path, monkeypatch):
    first = tls.ensure(tmp_path).certificate.read_bytes()

    assert tls.ensure(tmp_path).certificate.read_bytes() == first
    monkeypatch.setattr(tls, "RENEW_BEFORE", dt.timedelta(days=900))
    assert tls.ensure(tmp_path).certificate.read_bytes() != first


def test_java_finds_the_authority_in_its_trust_store(tmp_path):
    material = tls.ensure(tmp_path)

    store = pkcs12.load_pkcs12(material.trust_store.read_bytes(), tls.TRUST_STORE_PASSWORD.encode())
    authority = x509.load_pem_x509_certificate(material.ca.read_bytes())

    assert [each.certificate for each in store.additional_certs] == [authority]


def test_only_the_owner_may_read_the_key_and_the_authoritys_own_key_is_not_kept(tmp_path):
    material = tls.ensure(tmp_path)

    assert material.key.stat().st_mode & 0o077 == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "ca.pem",
        "server-key.pem",
        "server.pem",
        "truststore.p12",
    ]


def hello(material, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(material.certificate, material.key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=say_hello, args=(listening, context))
        thread.start()
        trusting = tls.client_context(material.ca)
        with (
            socket.create_connection(listening.getsockname()) as plain,
            trusting.wrap_socket(plain, server_hostname=name) as secure,
        ):
            said = secure.recv(5).decode()
        thread.join(5)
    return said


def say_hello(listening, context):
    connection, _ = listening.accept()
    with context.wrap_socket(connection, server_side=True) as secure:
        secure.sendall(b"hello")

"""The certificate authority of one local cloud, its server certificate, and the same trust for Java."""

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = dt.timedelta(days=825)
RENEW_BEFORE = dt.timedelta(days=14)
TRUST_STORE_PASSWORD = "changeit"  # noqa: S105  Java's customary one: the store holds no secret


@dataclass(frozen=True)
class Material:
    """The files of one local cloud's TLS: PEM, and PKCS#12 for Java."""

    ca: Path
    certificate: Path
    key: Path
    trust_store: Path

    @classmethod
    def within(cls, folder: Path) -> "Material":
        return cls(folder / "ca.pem", folder / "server.pem", folder / "server-key.pem", folder / "truststore.p12")

    def is_current(self) -> bool:
        """Whether every file is there and the certificates last for another while."""
        files = (self.ca, self.certificate, self.key, self.trust_store)
        if not all(file.exists() for file in files):
            return False
        now = dt.datetime.now(dt.UTC)
        certificates = [x509.load_pem_x509_certificate(file.read_bytes()) for file in (self.ca, self.certificate)]
        return all(now + RENEW_BEFORE < certificate.not_valid_after_utc for certificate in certificates)


def ensure(folder: Path) -> Material:
    """The material in `folder`, made at first use and again when it is about to end.

    The authority's key is used once and not kept: nobody can sign a second certificate with it.
    """
    material = Material.within(folder)
    if not material.is_current():
        _make(material)
    return material


def client_context(ca: Path) -> ssl.SSLContext:
    """Trust in this local cloud and nothing else."""
    return ssl.create_default_context(cafile=str(ca))


def _make(material: Material) -> None:
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _authority(ca_key)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _server(key, ca, ca_key)
    _write(material.ca, _pem(ca))
    _write(material.certificate, _pem(certificate) + _pem(ca))
    _write(material.key, _private(key))
    _write(material.trust_store, _java_trust(ca))


def _named(name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tenantlake")]
    )


def _builder(subject: x509.Name, issuer: x509.Name) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
    )


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = _named("Tenantlake local cloud authority")
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _builder(name, name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _server(
    key: ec.EllipticCurvePrivateKey, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("::1")),
        ]
    )
    return (
        _builder(_named("localhost"), ca.subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _java_trust(ca: x509.Certificate) -> bytes:
    entry = pkcs12.PKCS12Certificate(ca, b"tenantlake")
    encryption = serialization.BestAvailableEncryption(TRUST_STORE_PASSWORD.encode())
    return pkcs12.serialize_java_truststore([entry], encryption)


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)

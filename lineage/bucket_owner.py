"""Every call to S3 names the account that must own the bucket: a name that somebody else has taken is refused."""

from collections.abc import Mapping
from typing import Any

__all__ = ["insisting"]

EXPECTED, EXPECTED_OF_SOURCE = "ExpectedBucketOwner", "ExpectedSourceBucketOwner"


def insisting(s3: Any, account: str, *, source: str | None = None) -> Any:
    """The same boto3 client; from now on each of its calls, parts of transfers too, expects `account` as owner.

    Of what it copies from, `source` is expected, where that is another one.
    """

    def expect(params: dict[str, Any], model: Any, **_: Any) -> None:
        taken: Mapping[str, Any] = model.input_shape.members if model.input_shape else {}
        owners = {EXPECTED: account, EXPECTED_OF_SOURCE: source or account}
        params.update({name: owner for name, owner in owners.items() if name in taken})

    s3.meta.events.register("before-parameter-build.s3", expect, unique_id="lake-bucket-owner")
    return s3

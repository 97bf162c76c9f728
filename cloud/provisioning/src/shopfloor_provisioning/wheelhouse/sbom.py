"""A platform's bill of materials: CycloneDX 1.6, as JSON, checked against its schema."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.exception import MissingOptionalDependencyException
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from shopfloor_provisioning.wheelhouse.closure import Closure
from shopfloor_provisioning.wheelhouse.errors import CollectError, WheelError
from shopfloor_provisioning.wheelhouse.metadata import Wheel
from shopfloor_provisioning.wheelhouse.own import EPOCH
from shopfloor_provisioning.wheelhouse.pool import digest_of

NAMESPACE = uuid.UUID("5d0e6b34-3f0c-5f7e-9a5b-0c3e0d7e7a11")


def write_sbom(closure: Closure, root: str) -> str:
    """Return the bill of ``root`` on the closure's platform; the same wheels give the same text.

    Raises:
        WheelError: a wheel states no licence.
        CollectError: the text does not hold to the schema.
    """
    unlicensed = sorted(name for name, wheel in closure.wheels.items() if not wheel.licence)
    if unlicensed:
        raise WheelError(f"{', '.join(unlicensed)}: states no licence")
    components = {name: _component(wheel) for name, wheel in closure.wheels.items()}
    bom = Bom(components=[part for name, part in components.items() if name != root])
    bom.metadata.component = components[root]
    bom.metadata.timestamp = datetime.fromtimestamp(int(EPOCH), UTC)
    bom.metadata.properties.add(Property(name="shopfloor:platform", value=closure.platform.name))
    digests = "".join(sorted(digest_of(wheel.path) for wheel in closure.wheels.values()))
    bom.serial_number = uuid.uuid5(NAMESPACE, closure.platform.name + digests)
    for name, part in components.items():
        needed = sorted(closure.edges.get(name, ()) & components.keys())
        bom.register_dependency(part, [components[other] for other in needed])
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)
    check_sbom(text)
    return text


def check_sbom(text: str) -> None:
    """Hold a bill against CycloneDX 1.6's schema.

    Raises:
        CollectError: what does not hold, or the checker is not installed.
    """
    try:
        complaint = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    except MissingOptionalDependencyException as e:
        raise CollectError("'pip install cyclonedx-python-lib[json-validation]' is needed") from e
    if complaint is not None:
        first = complaint if not isinstance(complaint, Iterable) else next(iter(complaint))
        raise CollectError(f"the bill of materials is no CycloneDX 1.6: {first!r}"[:500])


def _component(wheel: Wheel) -> Component:
    purl = PackageURL("pypi", None, wheel.name, wheel.version)
    return Component(
        name=wheel.name,
        version=wheel.version,
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
        description=wheel.summary or None,
        licenses=[LicenseFactory().make_from_string(wheel.licence)],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest_of(wheel.path))],
        properties=[Property(name="shopfloor:file", value=wheel.path.name)],
    )

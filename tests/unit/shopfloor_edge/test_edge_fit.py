"""Which signed updates a device takes."""

import pytest

from shopfloor_contracts.targets import TargetCustom
from shopfloor_edge.agent.updater.fit import check_fit
from shopfloor_edge.errors import UpdateRefusedError


def custom(**changes):
    said = {"kind": "model", "name": "m", "version": "1", "hardware": ["onnx-fp32"]}
    return TargetCustom.model_validate(said | changes)


@pytest.mark.parametrize(("kind", "wants"), [("os", "os_handler"), ("wheels", "launcher")])
def test_what_this_device_cannot_install_is_refused_with_what_it_lacks(kind, wants):
    with pytest.raises(UpdateRefusedError, match=wants):
        check_fit(custom(kind=kind, hardware=["any"]), {"onnx-fp32"})


def test_a_bundle_for_other_hardware_is_refused_and_names_both():
    with pytest.raises(UpdateRefusedError, match="is for edgetpu; this device is onnx-fp32"):
        check_fit(custom(hardware=["edgetpu"]), {"onnx-fp32"})


def test_a_minimum_that_is_not_installed_is_refused():
    with pytest.raises(UpdateRefusedError, match=r"wants shopfloor-edge 999, this device has"):
        check_fit(custom(minimum={"shopfloor-edge": "999"}), {"onnx-fp32"})


def test_what_fits_is_taken():
    check_fit(custom(), {"onnx-fp32"})

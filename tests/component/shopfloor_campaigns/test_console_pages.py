"""The console by HTTP: who may see and do what, and what a hostile word does to it."""

import re
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select, text

from fakes.campaign_devices import NEW, Cloud, plan
from shopfloor_campaigns.adapters.pages.sessions import ATTEMPTS, LASTS
from shopfloor_campaigns.adapters.tables import SESSIONS, TOKENS
from shopfloor_kit.tokens import Role, revoke

PAGES = ["/", "/campaigns/nano-2", "/campaigns/nano-2/waves/1", "/devices", "/devices/s0.d"]
PAGES += ["/models", "/audit"]


@pytest.fixture
def cloud(tmp_path):
    cloud = Cloud(f"sqlite:///{tmp_path}/campaigns.db")
    yield cloud
    cloud.close()


class Visitor:
    """A browser without JavaScript."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.client = httpx.Client(base_url=cloud.url, follow_redirects=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def form_of(self, page: str) -> str:
        return re.search(r'name="form" value="([0-9a-f]+)"', self.client.get(page).text)[1]

    def sign_in(self, token: str, place: str = "/") -> httpx.Response:
        fields = {"form": self.form_of("/sign-in"), "token": token, "next": place}
        return self.client.post("/sign-in", data=fields)

    def order(self, verb: str, name: str = "nano-2", **fields) -> httpx.Response:
        form = {"form": self.form_of("/"), "reason": "because"} | fields
        return self.client.post(f"/campaigns/{name}/orders/{verb}", data=form)


@pytest.fixture
def visit(cloud):
    with Visitor(cloud) as visitor:
        yield visitor


def signed(visitor, role=Role.APPROVER):
    assert visitor.sign_in(visitor.cloud.tokens[role]).status_code == 303
    return visitor


def running(cloud):
    devices = cloud.add(3)
    cloud.create(plan(gates=[{"gate": "count-difference", "limit": 0.05, "minimum": 50}]))
    cloud.ordered("nano-2", "approve", "start")
    return devices


@pytest.mark.parametrize("page", [*PAGES, "/new-campaign", "/campaigns/nano-2/orders/abort"])
def test_who_is_not_signed_in_is_asked_to(visit, page):
    answer = visit.client.get(page)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("page", PAGES)
def test_a_viewer_sees_every_page(cloud, visit, page):
    running(cloud)

    answer = signed(visit, Role.VIEWER).client.get(page)

    assert answer.status_code == 200
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("page", ["/", "/devices", "/models", "/audit"])
def test_a_page_without_anything_says_what_to_do(visit, page):
    answer = signed(visit).client.get(page)

    assert answer.status_code == 200
    assert 'class="card empty"' in answer.text


def test_the_cookie_cannot_be_read_and_is_not_in_the_database(cloud, visit):
    answer = visit.sign_in(cloud.tokens[Role.VIEWER])

    cookie = next(c for c in answer.headers.get_list("set-cookie") if "shopfloor_session" in c)
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    with cloud.engine.connect() as connection:
        digest = connection.execute(select(SESSIONS.c.digest)).scalar_one()
    assert digest not in cookie
    assert visit.client.cookies["shopfloor_session"] not in digest


def test_over_https_the_cookie_stays_there(cloud, visit):
    visit.client.headers["x-forwarded-proto"] = "https"

    answer = visit.sign_in(cloud.tokens[Role.VIEWER])

    # The client holds a Secure cookie of this plain address back, so the form is refused; the
    # cookie of the form itself tells.
    assert answer.status_code == 403
    given = visit.client.get("/sign-in").headers["set-cookie"]
    assert "secure" in given.lower()


@pytest.mark.parametrize("place", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_signing_in_never_leads_to_another_site(cloud, visit, place):
    answer = visit.sign_in(cloud.tokens[Role.VIEWER], place)

    assert answer.headers["location"] == "/"


def test_a_session_ends_with_its_time_its_token_or_the_sign_out(cloud, visit):
    signed(visit)
    cloud.now += LASTS - timedelta(minutes=1)
    assert visit.client.get("/").status_code == 200
    cloud.now += timedelta(minutes=2)
    assert visit.client.get("/").status_code == 303

    signed(visit)
    kept = dict(visit.client.cookies)
    visit.client.post("/sign-out", data={"form": visit.form_of("/")})
    assert httpx.get(cloud.url + "/", cookies=kept).status_code == 303

    signed(visit)
    identity = cloud.tokens[Role.APPROVER].split("_")[1]
    with cloud.engine.begin() as connection:
        revoke(connection, TOKENS, identity, at=cloud.now)
    assert visit.client.get("/").status_code == 303


def test_guessing_tokens_is_slowed_down(cloud, visit):
    answers = [visit.sign_in("sf_000000000000_" + "x" * 43) for _ in range(ATTEMPTS)]

    assert {answer.status_code for answer in answers} == {401}
    assert visit.sign_in(cloud.tokens[Role.VIEWER]).status_code == 429
    cloud.now += timedelta(minutes=6)
    assert visit.sign_in(cloud.tokens[Role.VIEWER]).status_code == 303


@pytest.mark.parametrize("page", ["/sign-in", "/sign-out", "/new-campaign"])
def test_a_form_of_another_page_is_refused(visit, page):
    signed(visit)

    answers = [visit.client.post(page, data={"form": form}) for form in ("", "0" * 64)]

    assert [answer.status_code for answer in answers] == [403, 403]


def test_a_form_that_another_site_sends_is_refused(cloud, visit):
    running(cloud)
    signed(visit)
    form = visit.form_of("/")
    headers = {"sec-fetch-site": "cross-site"}

    answer = visit.client.post(
        "/campaigns/nano-2/orders/abort", data={"form": form, "reason": "x"}, headers=headers
    )

    assert answer.status_code == 403
    assert cloud.show("nano-2")["status"] == "running"


@pytest.mark.parametrize(
    ("role", "verb", "hidden"),
    [(Role.VIEWER, "abort", True), (Role.VIEWER, "pause", True), (Role.OPERATOR, "abort", False)],
)
def test_a_button_is_shown_to_those_only_who_may(cloud, visit, role, verb, hidden):
    running(cloud)

    page = signed(visit, role).client.get("/campaigns/nano-2").text

    assert (f"orders/{verb}" not in page) is hidden


def test_what_a_role_must_not_do_is_refused_by_the_server_too(cloud, visit):
    running(cloud)
    signed(visit, Role.VIEWER)

    answers = [visit.order("abort"), visit.client.get("/campaigns/nano-2/orders/abort")]
    answers.append(visit.client.get("/new-campaign"))

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert "Not allowed" in answers[0].text
    assert cloud.show("nano-2")["status"] == "running"


def test_an_order_is_done_and_its_reason_is_kept(cloud, visit):
    running(cloud)
    signed(visit)

    assert visit.order("pause", reason="").status_code == 400
    answers = [visit.order("pause", reason="door is shut"), visit.order("resume", reason="open")]

    assert [answer.status_code for answer in answers] == [303, 303]
    page = visit.client.get("/campaigns/nano-2").text
    assert "door is shut" in page
    assert "<q>open</q>" in page
    assert visit.order("approve").status_code == 409


def test_a_hostile_word_of_a_device_does_not_run(cloud, visit):
    devices = cloud.add(2)
    evil = "<script>alert(1)</script>"
    said = {"mode": "merge", "data": {"board": evil}}
    assert devices[0].put("configData", said).status_code == 200
    cloud.create(plan())
    cloud.ordered("nano-2", "approve", "start")
    busy = next(d for d in devices if d.action())
    busy.say(busy.action(), "closed", "failure", details=[evil])
    signed(visit)

    pages = [visit.client.get(f"/devices/{name}").text for name in (devices[0].name, busy.name)]
    pages.append(visit.client.get("/campaigns/nano-2/waves/1").text)
    pages.append(visit.client.get("/devices", params={"text": evil, "labels": evil}).text)
    pages.append(visit.client.get("/sign-in", params={"next": f'"{evil}'}).text)

    assert all(evil not in page for page in pages)
    assert sum("&lt;script&gt;" in page for page in pages) >= 3


def test_devices_are_found_by_labels_name_and_state_in_pages(cloud, visit):
    cloud.add_named([f"bern-{n:03d}.d" for n in range(60)], region="emea")
    cloud.add_named(["oslo-1.d"], region="nordic")
    signed(visit)

    first = visit.client.get("/devices", params={"labels": "region=emea", "text": "bern"}).text
    following = re.search(r'href="/devices\?([^"]*after=[^"]*)"', first)[1].replace("&amp;", "&")
    second = visit.client.get(f"/devices?{following}").text

    assert len(re.findall(r"<th scope=\"row\">", first)) == 50
    assert len(re.findall(r"<th scope=\"row\">", second)) == 10
    assert "oslo-1.d" not in first + second
    assert "No device matches" in visit.client.get("/devices?state=updating").text


def test_a_label_query_that_is_none_is_told(visit):
    answer = signed(visit).client.get("/devices", params={"labels": "region in ("})

    assert answer.status_code == 200
    assert 'aria-invalid="true"' in answer.text


def test_models_are_counted_by_what_devices_committed_to(cloud, visit):
    devices = cloud.add(3)
    cloud.create(plan())
    cloud.ordered("nano-2", "approve", "start")
    next(d for d in devices if d.action()).install()
    cloud.settle()

    page = signed(visit).client.get("/models").text

    assert NEW[:12] in page
    assert '<td class="num">1</td>' in page
    assert "Of 2 other devices" in page


def test_a_campaign_by_the_form_is_the_plan_that_was_meant(cloud, visit):
    cloud.add(2, region="emea")
    signed(visit, Role.OPERATOR)
    fields = {
        "form": visit.form_of("/"),
        "name": "spring",
        "path": "model/person-nano/2.0/onnx-fp32",
        "sha256": NEW,
        "size_bytes": "1000",
        "selector": "region=emea",
        "waves": "1, 100%",
        "shadow_h": "0.5",
        "trial_h": "0",
        "approval": "on",
        "use_count-difference": "on",
        "limit_count-difference": "5",
        "minimum_count-difference": "100",
    }

    wrong = visit.client.post("/new-campaign", data=fields | {"sha256": "zz", "waves": ""})
    right = visit.client.post("/new-campaign", data=fields)

    assert wrong.status_code == 400
    assert "Mend this first" in wrong.text
    assert 'value="spring"' in wrong.text
    assert right.headers["location"] == "/campaigns/spring"
    made = cloud.show("spring")["plan"]
    assert made["gates"] == [
        {"gate": "count-difference", "limit": 0.05, "minimum": 100, "confidence": 0.95}
    ]
    assert made["timing"]["shadow_s"] == 1800
    assert made["update"]["version"] == "2.0"
    assert made["waves"] == [1, "100%"]
    assert visit.client.post("/new-campaign", data=fields).status_code == 400


def test_the_form_says_how_many_devices_match(cloud, visit):
    cloud.add_named(["a.d", "b.d"], region="emea")
    cloud.add_named(["c.d"], region="emea", capabilities="onnx-int8")
    query = {"selector": "region=emea", "path": "model/person-nano/2.0/onnx-fp32"}

    html = signed(visit).client.get("/new-campaign/match", params=query).text

    assert "<strong>2</strong> of 3 devices take part; 1 more match" in html


def test_the_live_part_is_told_when_a_device_moves_and_not_before(cloud, visit):
    devices = running(cloud)
    signed(visit)
    live = "/campaigns/nano-2/live"
    tag = visit.client.get(live).headers["etag"]

    same = visit.client.get(live, headers={"if-none-match": tag})
    busy = next(d for d in devices if d.action())
    busy.say(busy.action(), "download")
    moved = visit.client.get(live, params={"wait_s": 5}, headers={"if-none-match": tag})

    assert same.status_code == 304
    assert moved.status_code == 200
    assert "downloading" in moved.text


def test_a_log_that_was_tampered_with_says_so(cloud, visit):
    running(cloud)
    signed(visit)
    assert "Unbroken" in visit.client.get("/audit").text
    with cloud.engine.begin() as connection:
        triggers = text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for name in connection.execute(triggers).scalars().all():
            connection.execute(text(f'DROP TRIGGER "{name}"'))
        connection.execute(text("UPDATE audit SET actor = 'nobody' WHERE number = 1"))

    assert "Tampered with" in visit.client.get("/audit").text


@pytest.mark.parametrize(
    "page", ["/campaigns/none", "/devices/none", "/campaigns/A%20B", "/console/x"]
)
def test_what_is_not_there_is_a_page_that_says_so(visit, page):
    answer = signed(visit).client.get(page)

    assert answer.status_code == 404
    assert "Not here" in answer.text


def test_every_page_and_an_order_work_on_postgresql_too(cluster):
    cloud = Cloud(cluster.make_database())
    try:
        cloud.add(2, region="emea")
        cloud.create(plan(approval=False, selector="region=emea"))
        cloud.ordered("nano-2", "start")
        with Visitor(cloud) as visitor:
            signed(visitor)
            answers = {page: visitor.client.get(page).status_code for page in PAGES}
            aborted = visitor.order("abort")
            found = visitor.client.get("/devices?q=region%3Demea").text
    finally:
        cloud.close()

    assert answers == dict.fromkeys(PAGES, 200)
    assert aborted.status_code == 303
    assert "s1.d" in found


def test_one_device_is_no_devices(visit):
    visit.cloud.add(1, region="emea")
    gate = {"gate": "install-success", "limit": 0.95, "minimum": 1}
    visit.cloud.create(plan(approval=False, selector="region=emea", gates=[gate]))
    visit.cloud.ordered("nano-2", "start")
    signed(visit)

    page = visit.client.get("/campaigns/nano-2").text

    assert "1 device wanted" in page
    assert "1 devices" not in page

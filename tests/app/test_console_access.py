"""app/console_access: who may change something at the serial console, from the setup code to several administrators."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.accounts.second_factor import new_secret
from appliance.accounts.throttle import Throttle
from appliance.accounts.totp import code_of, step_of
from appliance.app.components import Components, open_components
from appliance.app.console_access import WRONG, ConsoleAccess, OneTimePassword
from appliance.app.first_setup import prepare_setup_code
from appliance.auth.login import Login
from appliance.config.settings import Settings
from appliance.panel.ports import AccessGuard, AdminGrant, SignInStep

ADA, BEN = "ada@home.example", "ben@home.example"
ADAS, BENS = "Correct-Horse-7", "Paper-Tiger-8"


@pytest.fixture
async def components(tmp_path: Path) -> AsyncIterator[Components]:
    async with open_components(tmp_path / "data", Settings()) as components:
        login = Login(components.accounts, Throttle(), components.board, components.clock, failure_s=0.0)
        components.login = lambda: login
        yield components


async def answers(access: ConsoleAccess, *typed: str) -> tuple[list[str], AdminGrant | str]:
    """The labels that were shown, and what came of the answers."""
    guard, step, labels = AccessGuard(access), access.begin(), []
    for text in typed:
        assert isinstance(step, SignInStep)
        labels.append(step.label)
        step = await guard.answered(step, text)  # type: ignore[assignment]
    assert not isinstance(step, SignInStep)
    return labels, step


async def test_the_setup_code_until_there_is_an_account(components: Components) -> None:
    await prepare_setup_code(components)
    assert components.setup_code is not None
    code = components.setup_code.shown
    access = ConsoleAccess(components.accounts, components.login, components.second_factors, OneTimePassword(), components.setup_code)
    assert code in access.notice
    labels, refused = await answers(access, "aaaa-aaaa-aaaa")
    assert labels == ["Setup code:"] and "not the setup code" in str(refused)
    _, grant = await answers(access, code)
    assert not isinstance(grant, str) and grant.holds()
    await components.accounts.add_account(ADA, ADAS)
    assert access.notice == ""
    labels, refused = await answers(access, code)
    assert labels == [f"Password of {ADA}:"] and WRONG in str(refused)


async def test_one_administrator_types_the_password_and_several_an_address_first(components: Components) -> None:
    accounts = components.accounts
    access = ConsoleAccess(accounts, components.login, components.second_factors, OneTimePassword())
    await accounts.add_account(ADA, ADAS)
    await accounts.add_account(BEN, BENS)
    device = await accounts.add_app_password(ADA, "phone")
    assert WRONG in str((await answers(access, device))[1]), "a device's password opens nothing"
    assert WRONG in str((await answers(access, BENS))[1])
    _, grant = await answers(access, ADAS)
    assert not isinstance(grant, str) and grant.holds()
    await accounts.set_admin(BEN, True)
    labels, bens = await answers(access, "ben", BENS)
    assert labels == ["Address of an administrator:", "Password of ben:"] and not isinstance(bens, str) and bens.holds()
    labels, refused = await answers(access, "nobody@home.example", BENS)
    assert labels[1] == "Password of nobody@home.example:" and WRONG in str(refused)
    await accounts.set_admin(BEN, False)
    assert not bens.holds() and grant.holds(), "the role is gone"
    await accounts.set_admin(BEN, True)
    await accounts.set_password(ADA, "another good secret")
    assert not grant.holds() and bens.holds(), "the password is gone"
    await accounts.set_disabled(ADA, True)
    assert (await answers(access, BENS))[0] == [f"Password of {BEN}:"]


async def test_a_second_factor_is_asked_for_here_too(components: Components) -> None:
    access = ConsoleAccess(components.accounts, components.login, components.second_factors, OneTimePassword())
    account, secret = await components.accounts.add_account(ADA, ADAS), new_secret()
    step = step_of(components.clock.wall_s())
    codes = await components.second_factors().enable(account, secret, code_of(secret, step))
    labels, refused = await answers(access, ADAS, code_of(secret, step))
    assert labels == [f"Password of {ADA}:", "Code of the app, or a recovery code:"] and "used before" in str(refused)
    _, grant = await answers(access, ADAS, codes[0])
    assert not isinstance(grant, str) and grant.holds()


async def test_who_is_no_administrator_is_told_so(components: Components) -> None:
    access = ConsoleAccess(components.accounts, components.login, components.second_factors, OneTimePassword())
    assert "No account is an administrator" in str(access.begin())
    await components.accounts.add_account(ADA, ADAS)
    await components.accounts.add_account(BEN, BENS)
    await components.accounts.add_account("tim@home.example", "River-Lamp-99")
    await components.accounts.set_admin(BEN, True)
    assert "tim@home.example is not an administrator" in str((await answers(access, "tim", "River-Lamp-99"))[1])


async def test_the_one_time_password_is_good_once(components: Components) -> None:
    one_time = OneTimePassword()
    access = ConsoleAccess(components.accounts, components.login, components.second_factors, one_time)
    await components.accounts.add_account(ADA, ADAS)
    one_time.make()
    first = one_time.text
    one_time.make()
    assert one_time.text in access.notice and not one_time.use(first), "the one before is void"
    typed = one_time.text.replace("-", "").upper()
    labels, grant = await answers(access, typed)
    assert labels == ["One-time password:"] and not isinstance(grant, str) and grant.holds() and access.notice == ""
    assert WRONG in str((await answers(access, typed))[1]) and not one_time.use("")

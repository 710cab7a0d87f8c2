"""Passwords found in every list of leaked ones, in lower case; digits and punctuation at the end do not make them better.

Kept short on purpose: the throttle allows some ten guesses a minute, so only what is tried first matters.
"""

COMMON = frozenset(
    (  # noqa: SIM905 - a list literal would be three times as long
        "password passw0rd p@ssword p@ssw0rd passwort password1 password12 password123 passwort1 passwort123 qwertyuiop qwerty123 "
        "qwerty12 qwertz123 qwertzuiop 1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qaz2wsx3edc q1w2e3r4 q1w2e3r4t5 zaq12wsx qazwsxedc asdfghjkl asdf1234 "
        "abcd1234 abc12345 a1b2c3d4 aa123456 a1234567 a123456789 12345678 123456789 1234567890 12341234 123123123 12344321 87654321 "
        "987654321 11111111 00000000 88888888 11223344 112233445566 123454321 1234qwer qwer1234 iloveyou iloveyou1 ichliebedich sunshine "
        "princess football baseball basketball superman batman123 starwars pokemon123 dragon123 monkey123 shadow123 master123 michael1 "
        "jennifer jordan23 liverpool chelsea1 arsenal1 whatever trustno1 letmein1 letmein123 welcome1 welcome123 willkommen hallo123 "
        "changeme changeme1 default1 secret123 geheim123 computer internet samsung1 google123 facebook linkedin administrator admin123 "
        "admin1234 adminadmin root1234 rootroot toor1234 user1234 test1234 testtest testing123 guest123 mailserver pillarbox raspberry "
        "raspberrypi schatzi1 sommer123 summer123 winter123 autumn123 charlie1 ashley123 nicole123 daniel123 andrew123 joshua123 "
        "corvette mercedes ferrari1 hunter123 killer123 blink182 metallica slipknot1 cheesecake chocolate butterfly babygirl lovelove "
        "forever1 trustnoone secret welcome admin letmein dragon monkey summer winter spring autumn hallo hello geheim test user root "
        "master shadow charlie correcthorsebatterystaple correct-horse-battery-staple"
    ).split()
)

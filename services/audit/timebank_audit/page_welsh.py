"""The report's own English sentences in Welsh, for the page: what is not proven, what checks prove, what is listed.

The report stays as it is, so that its hash is the same in both languages. A sentence is known by its form; what an
export said in it (a town, a path, a hash) is carried over as it stands.
"""

from __future__ import annotations

import re
from typing import Final

SENTENCES: Final[dict[str, str]] = {
    "That hours were really worked.": ("Bod oriau wedi'u gweithio mewn gwirionedd."),
    "That nothing happened which was never entered in a journal.": (
        "Na ddigwyddodd dim na chofnodwyd erioed mewn dyddlyfr."
    ),
    "Anything, if all towns and all witnesses collude.": (
        "Dim byd, os yw'r holl drefi a'r holl dystion yn cynllwynio."
    ),
    "That others were shown the same logs, beyond what the peers' journals, notes and witnesses here show; and"
    " entries after these checkpoints.": (
        "Bod yr un logiau wedi'u dangos i eraill, y tu hwnt i'r hyn y mae dyddlyfrau'r cymheiriaid, y nodiadau a'r"
        " tystion yma yn ei ddangos; na chofnodion ar ôl y pwyntiau gwirio hyn."
    ),
    "{town}: its entries are not those that the checkpoint was signed for, so what they say was not judged.": (
        "{town}: nid ei chofnodion hi yw'r rhai y llofnodwyd y pwynt gwirio ar eu cyfer, felly ni farnwyd yr hyn a"
        " ddywedant."
    ),
    "{town}: the replay stopped at entry {n} ({code}).": (
        "{town}: daeth yr ailchwarae i ben wrth gofnod {n} ({code})."
    ),
    "{town}: its journal is that of {other}.": ("{town}: dyddlyfr {other} yw ei dyddlyfr."),
    "{town}: entries {n} to {m} lie after the greatest consistent cut; they answer messages that the other "
    "exports do not hold yet. Export all towns again to cover them.": (
        "{town}: mae cofnodion {n} i {m} ar ôl y toriad cyson mwyaf; maent yn ateb negeseuon nad yw'r allforion "
        "eraill yn eu dal eto. Allforiwch bob tref eto i'w cynnwys."
    ),
    "{n} more that could not be used.": ("{n} arall na ellid eu defnyddio."),
    "That the log keys are the towns': each came with its export. Give keys obtained elsewhere.": (
        "Mai allweddi'r trefi yw allweddi'r logiau: daeth pob un gyda'i hallforyn. Rhowch allweddi a gafwyd o le arall."
    ),
    "Who signed some of these logs: no key for them was given.": (
        "Pwy a lofnododd rai o'r logiau hyn: ni roddwyd allwedd ar eu cyfer."
    ),
    "That witnesses saw these logs grow: the policy demands none (a line: quorum <name>).": (
        "Bod tystion wedi gweld y logiau hyn yn tyfu: nid yw'r polisi'n mynnu'r un (llinell: quorum <enw>)."
    ),
    "Checks that were switched off: {codes}.": ("Gwiriadau a ddiffoddwyd: {codes}."),
    "{towns}: that registry version {n} ({sha256}) is the network's. Compare this hash with what its operators"
    " published.": (
        "{towns}: mai eiddo'r rhwydwaith yw fersiwn {n} o'r gofrestr ({sha256}). Cymharwch y stwnsh hwn â'r hyn a "
        "gyhoeddodd ei weithredwyr."
    ),
    "{path} of {town}: no key that is known of {origin} signed it; it was not used.": (
        "{path}, {town}: ni lofnododd yr un allwedd hysbys o {origin} ef; ni chafodd ei ddefnyddio."
    ),
    "{path} of {town}: the journal of its sender, {other}, was not given.": (
        "{path}, {town}: ni roddwyd dyddlyfr ei anfonwr, {other}."
    ),
    "{path} of {town}: no key of {other} in these registries signed it; it was not used.": (
        "{path}, {town}: ni lofnododd yr un o allweddi {other} yn y cofrestrau hyn ef; ni chafodd ei ddefnyddio."
    ),
    "{town}: {path}, account {account} goes beyond the export; it was not compared.": (
        "{town}: mae {path}, cyfrif {account} yn mynd y tu hwnt i'r allforyn; ni chafodd ei gymharu."
    ),
    "{town}: {path}, trial balance after {n} entries goes beyond the export; it was not compared.": (
        "{town}: mae {path}, mantolen brawf ar ôl {n} cofnod, yn mynd y tu hwnt i'r allforyn; ni chafodd ei chymharu."
    ),
    "{town}: {place} goes beyond the export; it was not compared.": (
        "{town}: mae {place} yn mynd y tu hwnt i'r allforyn; ni chafodd ei gymharu."
    ),
    "{town}: {path} is about a network; make it again by `timebank figures`, and compare.": (
        "{town}: mae {path} yn ymwneud â rhwydwaith; gwnewch ef eto â `timebank figures`, a chymharwch."
    ),
    "{town}: {place} is of form {n}; this auditor knows {m}.": (
        "{town}: mae {place} ar ffurf {n}; mae'r archwilydd hwn yn adnabod {m}."
    ),
}
"""By the English form, the more particular first."""

PROVES: Final[dict[str, str]] = {
    "A01": "y teils stwnsh ar y ddisg yw rhai'r cofnodion",
    "A02": "mae pob cofnod y mae'r pwynt gwirio yn ei gyfrif yno",
    "A03": "mae pob cofnod yn ei un ffurf ganonaidd",
    "A04": "gwraidd Merkle'r pwynt gwirio sydd gan y cofnodion",
    "A05": "mae pob cofnod yn dweud ei safle ei hun",
    "A06": "mae pob cofnod a neges o fath sy'n hysbys yma",
    "A10": "llofnodwyd y pwynt gwirio ag allwedd y log",
    "A11": "mae pob pwynt gwirio cynharach o dref yn ddechrau i'w log",
    "A12": "mae'r hyn a welodd archwiliad cynharach yn ddechrau i'r log",
    "A13": "nid oes cydlofnod yn hŷn na'r hyn y mae'n ei gwmpasu",
    "A14": "gwelodd tystion y polisi y log hwn yn tyfu",
    "A15": "nid yw'r un pwynt gwirio sydd gan eraill yn gwrth-ddweud y log",
    "A16": "mae'r hyn a ddywedodd tref wrth ei chymheiriaid am ei log yn wir",
    "A17": "nid oes cyflwr diweddarach o'r log yn hysbys",
    "A20": "mae'r llofnod ar bob segment a dderbyniwyd yn dda",
    "A21": "pob allwedd yw'r un y mae'r gofrestr mewn grym yn ei rhoi",
    "A22": "mae pob fersiwn o'r gofrestr wedi'i llofnodi ac yn dilyn ei rhagflaenydd",
    "A24": "gwnaed pob llofnod ag allwedd sydd at y defnydd hwn",
    "A25": "nid oes allwedd yn wan, nac yn eiddo i ddau ddeiliad neu at ddau ddefnydd",
    "A26": "nid oes segment a dderbyniwyd heb ei lofnodi",
    "A27": "mae'r holl drefi yn golygu'r un ddogfen wrth un fersiwn o'r gofrestr",
    "A28": "mae tref a gollodd gyflwr yn mynd ymlaen o'r hyn yr oedd wedi'i gyhoeddi",
    "A29": "mae neges pob cymar o dan segment a lofnododd y cymar",
    "A30": "mae postiadau pob cofnod yn adio i 0",
    "A31": "dim ond rhwng cyfrifon agored y mae munudau'n symud",
    "A32": "nid eir heibio i unrhyw lawr, nenfwd, terfyn na goddefiant",
    "A33": "ni nodwyd yr un gorchymyn na chofnod ddwywaith",
    "A34": "ni chymerir na rhoddir yn ôl fwy o drosglwyddiad nag a symudodd",
    "A35": "mae holl falansau tref yn adio i 0, a'r hyn sydd ar y ffordd yn hafal i'r hyn sydd ar agor",
    "A36": "datganiadau cyfrif a roddwyd allan yw rhai'r dyddlyfr",
    "A38": "nid yw amser byth yn rhedeg yn ôl",
    "A39": "mae pob cofnod yn dilyn pob rheol arall o'r llyfr",
    "A40": "nid oes trosglwyddiad ar agor yn hwy na'r oedran a nodwyd",
    "A41": "ysgrifennodd y ddwy dref yr un peth am bob trosglwyddiad",
    "A42": "mae pob penderfyniad am drosglwyddiad a oedd ar agor, pob cadarnhad am hawliad a oedd felly, a diolch, "
    "ad-daliadau a chofnodion arian am rywbeth sydd yno",
    "A43": "ni chredydwyd dim na anfonodd y dref arall erioed",
    "A44": "ni chymhwyswyd yr un neges ddwywaith",
    "A45": "ni ddychwelwyd dim i'r talwr a'i gredydu hefyd",
    "A46": "mae'r hyn sydd ar ddwy dref i'w gilydd yn cytuno",
    "A47": "mae munudau'r rhwydwaith cyfan yn adio i 0",
    "A48": "rhoddwyd ochr arall pob ffrwd",
    "A49": "mae'r ddwy dref yn dal yr un ffrwd, neges am neges",
    "A51": "mae segmentau a ddaliwyd yn dweud yr hyn y mae dyddlyfr yr anfonwr yn ei ddweud",
    "A53": "ni adewir allan yr un neges o ffrwd",
    "A70": "ffigurau cyhoeddedig yw rhai'r dyddlyfr",
}

KINDS: Final[dict[str, str]] = {
    "correction": "cywiriad",
    "grant": "grant",
    "reversal": "gwrthdroad",
    "confirmed by a rule": "cadarnhawyd gan reol",
    "confirmed by nobody": "heb ei gadarnhau gan neb",
    "dispute overruled: the claim upheld": "gwrthodwyd yr anghydfod: cadarnhawyd yr hawliad gan frocer",
    "dispute overruled: the claim confirmed": "gwrthodwyd yr anghydfod: talwyd yr hawliad",
    "stream frozen as evidence": "rhewyd y ffrwd yn dystiolaeth",
    "stream thawed by an operator": "dadmerwyd y ffrwd gan weithredwr",
    "recovered from a peer: a segment": "adferwyd gan gymar: segment",
    "recovered from a peer: a message": "adferwyd gan gymar: neges",
    "recovered from a peer: how far it heard": "adferwyd gan gymar: hyd at ble y clywodd",
    "said again in a new generation": "dywedwyd eto mewn cenhedlaeth newydd",
    "generation of a peer closed by the registry": "caewyd cenhedlaeth cymar gan y gofrestr",
    "refund to another town": "ad-daliad i dref arall",
    "refund from another town": "ad-daliad o dref arall",
    "state lost: the journal goes on in a new generation": "collwyd cyflwr: parhad mewn cenhedlaeth newydd",
    "returned from a town that the registry closed": "dychwelwyd o dref a gaeodd y gofrestr",
    "leaver's debt borne by the pot": "dyled un a ymadawodd, a ddygir gan y pot",
    "leaver's minutes to the pot": "munudau un a ymadawodd i'r pot",
    "leaver's minutes to an account": "munudau un a ymadawodd i gyfrif",
}


def _form(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile("".join(f"(?P<{part}>.+?)" if at % 2 else re.escape(part) for at, part in enumerate(parts)))


_FORMS: Final = [(_form(english), welsh) for english, welsh in SENTENCES.items()]


def sentence(english: str) -> str | None:
    """What is not proven, in Welsh; None for a sentence that is not known here."""
    for form, welsh in _FORMS:
        found = form.fullmatch(english)
        if found is not None:
            return welsh.format(**found.groupdict())
    return None

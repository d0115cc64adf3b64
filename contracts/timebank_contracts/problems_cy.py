"""Problems in Welsh: the sentence of each code, beside the English ones in `errors.py` and `problems.py`.

Words only: a code, a field's name, a header and what is written in `backticks` are the same in every language. A test
names the codes that have no Welsh sentence yet.
Source: design page 3, "HTTP API"; case J-11.
"""

from __future__ import annotations

from typing import Any, Final

TITLES_CY: Final[dict[str, str]] = {
    # What the rules refuse.
    "account_closed": "Mae’r cyfrif wedi cau; dewiswch gyfrif arall.",
    "account_closing": "Mae’r cyfrif wrthi’n cau ac nid yw’n talu rhagor; gall brocer ei agor eto.",
    "account_exists": "Mae cyfrif â’r dynodydd hwn eisoes; defnyddiwch ddynodydd arall.",
    "account_frozen": "Mae’r cyfrif wedi’i rewi; gofynnwch i frocer ei ddadrewi yn gyntaf.",
    "account_kind": "Ni ellir defnyddio’r math hwn o gyfrif felly; gweler README y cyfriflyfr am y mathau.",
    "account_not_empty": "Mae munudau’n dal yn y cyfrif neu’n ddyledus ganddo, neu mae trosglwyddiadau neu hawliadau "
    "heb eu cwblhau; gorffennwch nhw yn gyntaf.",
    "account_unknown": "Nid oes cyfrif â’r dynodydd hwn yma; chwiliwch am y cyfrif eto.",
    "alias_exists": "Mae’r cyfeiriad derbyn hwn yn bod eisoes; gwnewch un newydd.",
    "alias_limit": "Gall cyfrif gael hyd at 1,000 o gyfeiriadau derbyn; diddymwch rai yn gyntaf.",
    "alias_unknown": "Mae’r cyfeiriad derbyn yn anhysbys neu wedi’i ddiddymu; gofynnwch i’r derbynnydd am un newydd.",
    "already_reversed": "Tynnwyd y trosglwyddiad hwn yn ôl eisoes; nid oes dim ar ôl i’w dynnu yn ôl.",
    "amount_ambiguous": "Ysgrifennwch yr uned: 1:30, 1h30, 90m neu 1.5h; gallai rhif ar ei ben ei hun fod yn oriau "
    "neu’n funudau.",
    "amount_out_of_range": "Rhaid i’r munudau fod yn rhif cyfan o 1 i 60,000.",
    "ceiling_exceeded": "Byddai cyfrif y derbynnydd yn mynd dros ei derfyn uchaf; gadewch iddo wario yn gyntaf, "
    "talwch lai, neu gofynnwch i frocer.",
    "claim_disputed": "Mae anghydfod ynghylch yr hawliad; brocer sy’n penderfynu.",
    "claim_limit": "Gall cyfrif gael hyd at 1,000 o hawliadau agored; cadarnhewch, tynnwch yn ôl neu heriwch rai yn "
    "gyntaf.",
    "claim_mismatch": "Mae cadarnhad yn ailadrodd cyfrifon, gweithgaredd, diwrnod a rhaglen yr hawliad.",
    "claim_not_disputed": "Nid oes anghydfod ynghylch yr hawliad; dim ond ar anghydfod y gellir penderfynu.",
    "claim_not_due": "Nid yw’r rheol yn cadarnhau nac yn terfynu’r hawliad hwn nawr; gweler polisi’r dref.",
    "claim_tolerance": "Mae hyn yn fwy o funudau nag a hawliwyd, y tu hwnt i oddefiant y dref; gofynnwch am hawliad "
    "newydd.",
    "claim_unknown": "Nid oes hawliad agored â’r dynodydd hwn yma; efallai iddo gael ei gadarnhau neu ei dynnu yn ôl, "
    "neu iddo ddod i ben.",
    "claim_withdrawn": "Tynnwyd yr hawliad yn ôl, neu daeth i ben fel arall, cyn i’w daliad gyrraedd tref y rhoddwr.",
    "confirmation_needed": "Dywedwch pwy a’i cadarnhaodd: receiver, broker, delegate, rule neu none.",
    "debt_limit_exceeded": "Byddai’r dref mewn dyled i drefi eraill y tu hwnt i’w therfyn; arhoswch i oriau ddod yn "
    "ôl.",
    "expired": "Roedd amser y trosglwyddiad ar ben pan benderfynodd tref y derbynnydd.",
    "floor": "Byddai cyfrif y talwr yn mynd o dan ei derfyn isaf; rhowch oriau yn gyntaf, talwch lai, neu "
    "gofynnwch i frocer.",
    "key_missing": "Anfonwch bennyn Idempotency-Key o 1 i 200 nod, un newydd ar gyfer pob gorchymyn newydd.",
    "key_reused": "Daeth yr Idempotency-Key hwn gyda gorchymyn arall o’r blaen; defnyddiwch un newydd ar gyfer "
    "gorchymyn newydd.",
    "money_invalid": "Enwch drosglwyddiad neu raglen o’r dref hon, a nifer o unedau bach uwchlaw 0; i gywiro, i’r "
    "gwrthwyneb.",
    "money_unknown": "Nid oes cofnod arian â’r dynodydd hwn yma, neu fe’i cywirwyd eisoes.",
    "node_not_opened": "Rhaid i’r dyddlyfr ddechrau gyda node.opened.",
    "node_opened": "Mae’r dyddlyfr ar agor eisoes.",
    "not_reversible": "Dim ond trosglwyddiad o fewn y dref hon y gellir ei dynnu yn ôl, a dim mwy na’r hyn sydd ar ôl "
    "ohono.",
    "pair_limit_exceeded": "Byddai un dref mewn dyled i’r llall y tu hwnt i’w terfyn; arhoswch i oriau ddod yn ôl.",
    "peer_needs_upgrade": "Nid yw’r dref arall yn adnabod y math hwn o neges eto; arhoswch iddo gael ei ddiweddaru.",
    "peer_recovering": "Mae’r hyn a gollodd y dref hon gyda’r llall yn cael ei adfer; dewch yn ôl cyn hir.",
    "peer_suspended": "Mae’r dref arall wedi’i hatal dros dro; arhoswch i’r gweithredwyr godi’r ataliad.",
    "peer_unknown": "Nid oes tref o’r enw hwn yn y gofrestr sydd mewn grym yma.",
    "policy_invalid": "Rhaid i derfyn isaf fod yn 0 neu’n llai, a therfyn uchaf neu derfyn arall yn 0 neu’n fwy, a "
    "phob un o fewn 10,000,000 o funudau.",
    "posting_invalid": "Rhwng 2 a 256 o linellau, pob cyfrif unwaith, dim un ohonynt yn 0, a’r cyfanswm yn union 0.",
    "precondition_failed": "Fe’i newidiwyd ers i chi ei ddarllen; darllenwch ef eto, a phenderfynwch eto.",
    "programme_unknown": "Nid oes rhaglen agored â’r dynodydd hwn yma; chwiliwch amdani ymhlith y cyfrifon.",
    "purpose_invalid": "Nid yw’r diben hwn yn gweddu i’r cyfrifon hyn, neu i’r sawl sy’n gweithredu.",
    "reason_needed": "Mae cymorth o’r gronfa yn enwi ei reswm; nid oes rheswm ond ar gymorth, grant a chywiriad.",
    "refund_exceeded": "Ni all ad-daliadau gyda’i gilydd fod yn fwy na’r trosglwyddiad; gwelwch beth a ad-dalwyd.",
    "registry_invalid": "Rhaid i’r gofrestr ddilyn yr un sydd mewn grym: fersiwn + 1, neu’r gyntaf.",
    "segment_invalid": "Nid yw datganiad y segment yn gweddu i’r nod hwn, i’r dref arall hon neu i’r safle hwn.",
    "segment_pending": "Negeseuon y segment a dderbyniwyd sy’n dod gyntaf, pob un yn un cofnod, mewn trefn.",
    "self_transfer": "Yr un cyfrif yw’r talwr a’r derbynnydd; dewiswch dderbynnydd arall.",
    "served_on_invalid": "Rhaid i served_on fod yn ddyddiad o 366 diwrnod yn ôl hyd heddiw.",
    "service_incomplete": "Mae gwasanaeth yn enwi ei weithgaredd a’r diwrnod y’i rhoddwyd.",
    "session_invalid": "Mae sesiwn yn enwi pob cyfrif unwaith, ac yn gadael o leiaf un munud i bawb.",
    "stream_frozen": "Mae’r ffrwd gyda’r dref hon wedi’i rhewi fel tystiolaeth; rhaid i weithredwr ei dadrewi.",
    "thanks_given": "Diolchodd yr ochr hon amdano eisoes; mae unwaith yn ddigon.",
    "thanks_late": "Gellir diolch am drosglwyddiad o fewn 90 diwrnod.",
    "time_order": "Mae amser y cofnod cyn amser y cofnod blaenorol.",
    "transfer_unknown": "Nid oes trosglwyddiad â’r dynodydd hwn yma.",
    "wrong_position": "Nid y cofnod hwn yw’r un nesaf yn y dyddlyfr hwn.",
    # What the rules never see.
    "alias_for_one_town": "I un dref y mae’r cyfeiriad derbyn hwn, ac mae cod i bawb; gwnewch un heb audience.",
    "client_unknown": "Nid yw’r cleient yn hysbys yma, neu nid hon yw ei gyfrinach; gofynnwch i weithredwr y dref.",
    "cursor_invalid": "Nid y llwybr hwn a roddodd y cyrchwr hwn; anfonwch `next` y dudalen flaenorol, heb ei newid.",
    "delivery_unknown": "Nid oes danfoniad o’r fath yng nghofnod y bachyn gwe hwn; dim ond y rhai olaf a gedwir.",
    "field_invalid": "Mae maes ar goll, yn anhysbys neu ar ffurf arall; mae `errors` yn enwi pob un.",
    "forbidden": "Nid yw’r tocyn yn caniatáu hyn; gofynnwch am y cwmpas neu’r cyfrif y mae’r manylyn yn ei enwi.",
    "handle_invalid": "Mae enw defnyddiwr yn 1 i 30 o’r nodau a-z, 0-9 a -, gan ddechrau â llythyren.",
    "handle_taken": "Mae’r enw defnyddiwr, neu un sy’n edrych yn debyg iddo, ar waith yn y dref hon; dewiswch un "
    "arall.",
    "internal": "Daeth y nod ar draws nam; ni newidiodd y cais ddim nad atebwyd. Rhowch wybod i’w weithredwr.",
    "malformed": "Nid dyma’r corff y mae’r llwybr hwn yn ei dderbyn; anfonwch ef ar y ffurf y mae’r API yn ei "
    "disgrifio.",
    "method_not_allowed": "Nid yw’r llwybr hwn yn derbyn y dull hwn; gweler dogfen yr API.",
    "not_found": "Nid oes dim ar y llwybr hwn; gweler dogfen yr API.",
    "not_ready": "Ni all y gwasanaeth wneud hyn nawr; mae /readyz yn dweud pam. Dewch yn ôl yn nes ymlaen.",
    "outcome_unknown": "Ni wyddys a ysgrifennwyd hyn; anfonwch ef eto gyda’r un Idempotency-Key.",
    "payee_unknown": "Ni ellir talu neb o’r enw defnyddiwr hwn oddi yma; gwiriwch ef gyda’r derbynnydd.",
    "person_unknown": "Nid oes person o’r fath; efallai iddo gael ei ddileu.",
    "position_ahead": "Nid yw’r dyddlyfr wedi cyrraedd y safle yn X-Position; dewch yn ôl, neu gofynnwch hebddo.",
    "proof_invalid": "Nid yw’r prawf yn arwain o’r hyn a welwyd o’r blaen at hyn; anfonwch yr hyn sydd yn y log mewn "
    "gwirionedd.",
    "queue_full": "Mae gormod o orchmynion yn aros; dewch yn ôl ar ôl yr eiliadau y mae Retry-After yn eu nodi.",
    "rate_limited": "Gormod o geisiadau gan y cleient hwn; dewch yn ôl ar ôl yr eiliadau y mae Retry-After yn eu nodi.",
    "registry_unknown": "Nid yw’r fersiwn hon o’r gofrestr gan y nod hwn; gofynnwch am `latest`.",
    "room_away": "Nid yw gwasanaeth neu dref arall y mae hyn yn dibynnu arni yn ateb; dewch yn ôl yn nes ymlaen.",
    "scope_not_granted": "Ni roddwyd y cwmpas hwn i’r cleient; gofynnwch am un sydd ganddo.",
    "stream_unknown": "Nid oes gan y nod hwn ffrwd o’r fath, neu mae’n fyrrach na hynny.",
    "too_large": "Mae’r corff yn rhy fawr neu’n rhy ddwfn; anfonwch lai ar y tro.",
    "too_many_attempts": "Methodd y cleient hwn yn rhy aml â phrofi pwy ydyw; dewch yn ôl ar ôl yr eiliadau y mae "
    "Retry-After yn eu nodi.",
    "too_slow": "Ni chyrhaeddodd y corff mewn pryd; anfonwch ef eto.",
    "unauthorised": "Anfonwch docyn dilys: Authorization: Bearer <token>.",
    "url_refused": "Ni anfonir dim i URL o’r fath; rhowch un â https a gwesteiwr cyhoeddus.",
    "webhook_limit": "Mae cynifer ag a ganiateir; tynnwch un yn gyntaf, neu dewch yn ôl yn nes ymlaen.",
    "webhook_unknown": "Nid oes gan y cleient fachyn gwe â’r dynodydd hwn.",
    "writer_stopped": "Nid yw’r cyfriflyfr yn derbyn gorchmynion nawr; mae /readyz yn dweud pam. Dewch yn ôl yn nes "
    "ymlaen.",
}
"""Code → what it means and what to do, in Welsh."""


def in_welsh(body: dict[str, Any]) -> dict[str, Any]:
    """A problem's body (see `problems.problem`) for a reader of Welsh.

    A detail that is the code's own sentence is translated with it; one of this case stays English, because it may name
    what only the machine knows.
    """
    title = TITLES_CY.get(body["code"])
    if title is None:
        return body
    detail = title if body["detail"] == body["title"] else body["detail"]
    return body | {"title": title, "detail": detail}

----------------------------- MODULE Federation -----------------------------
(* Two towns that move minutes between them by two messages, over a network  *)
(* that loses, repeats and reorders, with crashes and with journals that     *)
(* lose their tail. What is modelled and what is not: README.md.             *)
(* Reading order: what a journal says; the steps; what must hold.            *)
EXTENDS Integers, Sequences, FiniteSets, TLC

CONSTANTS
  A, B,          \* the two towns
  TransfersOfA,  \* how many transfers A begins at most
  TransfersOfB,
  Fragile,       \* the towns whose journal may lose its tail
  MaxRollbacks,  \* how often that happens, in all
  MaxFaults,     \* crashes and lost records, in all
  Planted        \* {"nothing"}, or the names of planted bugs

VARIABLES
  journal,    \* town -> its entries
  unsaved,    \* town -> whether its last entry is not committed yet
  stopped,    \* town -> whether it knows that it was rolled back
  lost,       \* town -> whether all that it sent up to its head was lost
  past,       \* town -> the journals of which it lost the tail
  begun,      \* town -> how many transfers it ever began
  rollbacks,  \* how many journals lost their tail
  faults,     \* how many crashes and lost records there were
  registry,   \* town -> its generation in the registry
  known,      \* how transfers ended, as anybody ever saw it committed
  wrong       \* the bug in this history, or "nothing"

vars == <<journal, unsaved, stopped, lost, past, begun, rollbacks, faults, registry, known, wrong>>

Towns == {A, B}
Peer(t) == IF t = A THEN B ELSE A
Limit(t) == IF t = A THEN TransfersOfA ELSE TransfersOfB
Minutes(t) == (IF t = A THEN 1 ELSE 4) * (begun[t] + 1)

------------------------------ (* A journal *) ------------------------------
(* sent, decided, final: of a transfer; decided and final have the peer's    *)
(* message as `in`. closed: the peer's generation. opened: the own next one. *)
(* again: a message of the former generation, said anew.                     *)

Range(s) == {s[i] : i \in 1..Len(s)}
Prefix(s, n) == SubSeq(s, 1, n)
IsPrefix(s, t) == Len(s) <= Len(t) /\ Prefix(t, Len(s)) = s
Of(j, kind) == SelectSeq(j, LAMBDA e : e.k = kind)
LastOf(j, kind) == LET found == Of(j, kind) IN found[Len(found)]

RECURSIVE After(_, _)
After(j, kind) == \* the entries after the last one of this kind
  IF j = <<>> \/ j[Len(j)].k = kind THEN <<>>
  ELSE Append(After(Prefix(j, Len(j) - 1), kind), j[Len(j)])

SaysSomething(e) == e.k = "again" \/ (e.k \in {"sent", "decided"} /\ e.out)
Said(e) ==
  CASE e.k = "again" -> e.msg
    [] e.k = "sent" -> [k |-> "sent", id |-> e.id, m |-> e.m]
    [] e.k = "decided" -> [k |-> "decided", id |-> e.id, m |-> e.m, ok |-> e.ok]

RECURSIVE AllSaid(_)
AllSaid(j) == IF j = <<>> THEN <<>> ELSE
  IF SaysSomething(Head(j)) THEN <<Said(Head(j))>> \o AllSaid(Tail(j)) ELSE AllSaid(Tail(j))

RECURSIVE AllHeard(_)
AllHeard(j) == IF j = <<>> THEN <<>> ELSE
  IF Head(j).k \in {"decided", "final"} THEN <<Head(j).in>> \o AllHeard(Tail(j)) ELSE AllHeard(Tail(j))

Gen(j) == 1 + Len(Of(j, "opened"))
PeerGen(j) == 1 + Len(Of(j, "closed"))
Stream(j) == AllSaid(After(j, "opened"))   \* a prefix stands for its chain value
Applied(j) == AllHeard(After(j, "closed"))
Forced(j) == IF Len(Of(j, "opened")) = 0 THEN {} ELSE LastOf(j, "opened").forced

Saved(t) == IF unsaved[t] THEN Prefix(journal[t], Len(journal[t]) - 1) ELSE journal[t]
Spoken(t) == IF wrong = "send_before_commit" THEN journal[t] ELSE Saved(t)

(* Every journal that the town ever spoke from: all such segments may still  *)
(* come, in any order, any number of times. The one that reaches to the head *)
(* does not, when it was lost and not repeated.                              *)
Spoke(t) ==
  LET now == Spoken(t)
      before == UNION {{Prefix(j, n) : n \in 0..Len(j)} : j \in past[t]}
      sooner == {Prefix(now, n) : n \in 0..Len(now)}
  IN before \cup {j \in sooner : ~lost[t] \/ Stream(j) # Stream(now) \/ Gen(j) # Gen(now)}

-------------------------------- (* Steps *) --------------------------------
Idle(t) == ~unsaved[t] /\ ~stopped[t]

Write(t, entry) ==
  /\ journal' = [journal EXCEPT ![t] = Append(@, entry)]
  /\ unsaved' = [unsaved EXCEPT ![t] = TRUE]
  /\ lost' = [lost EXCEPT ![t] = @ /\ ~SaysSomething(entry)]

Send(t) ==
  /\ Idle(t) /\ begun[t] < Limit(t)
  /\ Write(t, [k |-> "sent", id |-> <<t, Gen(journal[t]), Len(Stream(journal[t])) + 1>>,
               m |-> Minutes(t), out |-> TRUE])
  /\ begun' = [begun EXCEPT ![t] = @ + 1]
  /\ UNCHANGED <<stopped, past, rollbacks, registry, known, faults>>

Commit(t) ==
  /\ unsaved[t]
  /\ unsaved' = [unsaved EXCEPT ![t] = FALSE]
  /\ LET e == journal[t][Len(journal[t])]
     IN known' = IF e.k = "final" THEN known \cup {<<e.id, e.in.m, e.ok>>} ELSE known
  /\ UNCHANGED <<journal, stopped, lost, past, begun, rollbacks, registry, faults>>

Crash(t) == \* what was not committed is gone
  /\ unsaved[t] /\ faults < MaxFaults
  /\ journal' = [journal EXCEPT ![t] = Saved(t)]
  /\ unsaved' = [unsaved EXCEPT ![t] = FALSE]
  /\ UNCHANGED <<stopped, lost, past, begun, rollbacks, registry, known>>
  /\ faults' = faults + 1

Lose(t) == \* the record that reaches to the head
  /\ ~lost[t] /\ faults < MaxFaults /\ Stream(Saved(t)) # <<>>
  /\ lost' = [lost EXCEPT ![t] = TRUE]
  /\ UNCHANGED <<journal, unsaved, stopped, past, begun, rollbacks, registry, known>>
  /\ faults' = faults + 1

Repeat(t) ==
  /\ lost[t] /\ wrong # "no_repetition"
  /\ lost' = [lost EXCEPT ![t] = FALSE]
  /\ UNCHANGED <<journal, unsaved, stopped, past, begun, rollbacks, registry, known, faults>>

(* The entry that follows from a message: the decision, or the end.          *)
Follows(t, msg) ==
  IF msg.k = "decided"
  THEN Write(t, [k |-> "final", id |-> msg.id, ok |-> msg.ok, in |-> msg])
  ELSE LET forced == {f \in Forced(journal[t]) : f.id = msg.id}
       IN IF forced # {} /\ wrong # "decide_anew"
          THEN \E f \in forced : Write(t, [k |-> "decided", id |-> msg.id, m |-> msg.m, ok |-> f.ok,
                                           out |-> FALSE, in |-> msg])
          ELSE \E ok \in BOOLEAN : Write(t, [k |-> "decided", id |-> msg.id, m |-> msg.m, ok |-> ok,
                                             out |-> TRUE, in |-> msg])

(* A segment signed when the peer's journal was j: S5, S6, S7.               *)
IsFresh(said, mark) ==
  CASE wrong = "gap_skipped" -> Len(said) > Len(mark)
    [] wrong = "duplicate_taken" -> said # <<>>
    [] OTHER -> Len(said) > Len(mark) /\ IsPrefix(mark, said)

Next1(said, mark) ==
  CASE wrong = "gap_skipped" -> said[Len(said)]
    [] wrong = "duplicate_taken" -> said[IF Len(said) > Len(mark) THEN Len(mark) + 1 ELSE Len(said)]
    [] OTHER -> said[Len(mark) + 1]

ForMe(t, j) ==
  /\ (Gen(j) = PeerGen(journal[t]) \/ (wrong = "old_generation_taken" /\ Gen(j) <= PeerGen(journal[t])))
  /\ PeerGen(j) = Gen(journal[t])

Mark(t, j) == \* of the stream that this segment is of
  IF Gen(j) = PeerGen(journal[t]) THEN Applied(journal[t])
  ELSE LastOf(journal[t], "closed").hist \o Applied(journal[t])

ShowsRollback(t, j) == ~IsPrefix(Applied(j), Stream(journal[t])) /\ wrong # "heard_ignored"

TakeFrom(t, j) ==
  /\ Idle(t) /\ ForMe(t, j)
  /\ IF ShowsRollback(t, j)
     THEN /\ stopped' = [stopped EXCEPT ![t] = TRUE]
          /\ UNCHANGED <<journal, unsaved, lost>>
     ELSE /\ IsFresh(Stream(j), Mark(t, j))
          /\ Len(journal[t]) < 12
          /\ Follows(t, Next1(Stream(j), Mark(t, j)))
          /\ UNCHANGED stopped
  /\ UNCHANGED <<past, begun, rollbacks, registry, known, faults>>

Take(t) == \E j \in Spoke(Peer(t)) : TakeFrom(t, j)
TakeLatest(t) == ~lost[Peer(t)] /\ TakeFrom(t, Spoken(Peer(t)))

TimeOut(t) == \* the planted bug: A returns by its own clock (T10)
  /\ wrong = "refund_on_timeout" /\ Idle(t)
  /\ \E e \in Range(Of(journal[t], "sent")) :
       /\ \A f \in Range(Of(journal[t], "final")) : f.id # e.id
       /\ journal' = [journal EXCEPT ![t] = Append(@, [k |-> "returned", id |-> e.id, ok |-> FALSE])]
  /\ UNCHANGED <<unsaved, stopped, lost, past, begun, rollbacks, registry, known, faults>>

(* The tail is lost; a head file or a witness may tell, or nothing does.     *)
Rollback(t) ==
  /\ t \in Fragile /\ rollbacks < MaxRollbacks /\ Idle(t)
  /\ LET j == journal[t]
         floor == Len(j) - Len(After(j, "opened"))
     IN \E n \in floor..(Len(j) - 1) :
          /\ \A i \in (n + 1)..Len(j) : j[i].k # "closed"
          /\ journal' = [journal EXCEPT ![t] = Prefix(j, n)]
  /\ past' = [past EXCEPT ![t] = @ \cup {journal[t]}]
  /\ \E told \in BOOLEAN : stopped' = [stopped EXCEPT ![t] = told]
  /\ rollbacks' = rollbacks + 1
  /\ UNCHANGED <<unsaved, lost, begun, registry, known, faults>>

CloseGeneration(t) == \* the registry's operators do so
  /\ stopped[t] /\ registry[t] = Gen(journal[t])
  /\ registry' = [registry EXCEPT ![t] = @ + 1]
  /\ UNCHANGED <<journal, unsaved, stopped, lost, past, begun, rollbacks, known, faults>>

PeerCloses(p) == \* peer.generation_closed, with last_in as `hist`: X2
  /\ Idle(p) /\ registry[Peer(p)] > PeerGen(journal[p])
  /\ Write(p, [k |-> "closed", hist |-> Applied(journal[p])])
  /\ UNCHANGED <<stopped, past, begun, rollbacks, registry, known, faults>>

(* The longest beginning that agrees with what the peer says that happened.  *)
Verified(j, hist) ==
  LET fits(n) == LET s == Stream(Prefix(j, n)) IN IsPrefix(s, hist) \/ IsPrefix(hist, s)
      best == CHOOSE n \in 0..Len(j) : fits(n) /\ \A i \in (n + 1)..Len(j) : ~fits(i)
  IN Prefix(j, best)

Reapplied(msgs) ==
  LET sent == SelectSeq(msgs, LAMBDA m : m.k = "sent")
  IN [i \in 1..Len(sent) |-> [k |-> "sent", id |-> sent[i].id, m |-> sent[i].m, out |-> FALSE]]

OpenGeneration(t) ==
  /\ stopped[t] /\ registry[t] = Gen(journal[t]) + 1
  /\ PeerGen(Saved(Peer(t))) = registry[t]
  /\ LET hist == LastOf(Saved(Peer(t)), "closed").hist
         kept == Verified(journal[t], hist)
         own == Stream(kept)
         gone == SubSeq(hist, Len(own) + 1, Len(hist))
         unheard == SubSeq(own, Len(hist) + 1, Len(own))
         opened == [k |-> "opened", hist |-> hist,
                    forced |-> {[id |-> m.id, ok |-> m.ok, m |-> m.m] :
                                m \in {x \in Range(gone) : x.k = "decided"}}]
     IN /\ journal' = [journal EXCEPT ![t] = kept \o <<opened>>
             \o (IF wrong = "lost_forgotten" THEN <<>> ELSE Reapplied(gone))
             \o (IF wrong = "unheard_forgotten" THEN <<>>
                 ELSE [i \in 1..Len(unheard) |-> [k |-> "again", msg |-> unheard[i]]])]
  /\ stopped' = [stopped EXCEPT ![t] = FALSE]
  /\ lost' = [lost EXCEPT ![t] = FALSE]
  /\ past' = [past EXCEPT ![t] = @ \cup {journal[t]}]
  /\ UNCHANGED <<unsaved, begun, rollbacks, registry, known, faults>>

Init ==
  /\ journal = [t \in Towns |-> <<>>]
  /\ unsaved = [t \in Towns |-> FALSE]
  /\ stopped = [t \in Towns |-> FALSE]
  /\ lost = [t \in Towns |-> FALSE]
  /\ past = [t \in Towns |-> {}]
  /\ begun = [t \in Towns |-> 0]
  /\ rollbacks = 0
  /\ faults = 0
  /\ registry = [t \in Towns |-> 1]
  /\ known = {}
  /\ wrong \in Planted

(* What a healthy town does by itself, or its operators do.                  *)
Progress(t) ==
  \/ Commit(t) \/ Repeat(t) \/ TakeLatest(t)
  \/ CloseGeneration(t) \/ PeerCloses(t) \/ OpenGeneration(t)

Step(t) ==
  \/ Progress(t) \/ Take(t) \/ Send(t) \/ Crash(t) \/ Lose(t) \/ Rollback(t) \/ TimeOut(t)

Next == (Step(A) \/ Step(B)) /\ UNCHANGED wrong

(* Faults end some day, and then what can go on goes on: P8.                 *)
Spec == Init /\ [][Next]_vars /\ WF_vars((Progress(A) \/ Progress(B)) /\ UNCHANGED wrong)

------------------------- (* The consistent cut: I5 *) -------------------------
Happened(j, g) == \* what the town's journal says of its stream of generation g
  IF g = Gen(j) THEN Stream(j)
  ELSE IF g < Gen(j) THEN Of(j, "opened")[g].hist ELSE <<>>

HeardTooMuch(mine, theirs) ==
  \/ ~IsPrefix(Applied(mine), Happened(theirs, PeerGen(mine)))
  \/ /\ PeerGen(mine) > 1
     /\ ~IsPrefix(LastOf(mine, "closed").hist, Happened(theirs, PeerGen(mine) - 1))

RECURSIVE Shorten(_, _)
Shorten(a, b) ==
  IF HeardTooMuch(a, b) THEN Shorten(Prefix(a, Len(a) - 1), b)
  ELSE IF HeardTooMuch(b, a) THEN Shorten(a, Prefix(b, Len(b) - 1))
  ELSE <<a, b>>

Cut == Shorten(Saved(A), Saved(B))

RECURSIVE Sum(_)
Sum(s) == IF s = {} THEN 0 ELSE LET e == CHOOSE x \in s : TRUE IN e.m + Sum(s \ {e})

Ends(j) == Range(Of(j, "final")) \cup Range(Of(j, "returned"))
SentBy(j) == {[id |-> e.id, m |-> e.m] : e \in Range(Of(j, "sent"))}
Decisions(j) == \* a forced outcome counts from the opening on
  {[id |-> e.id, m |-> e.m, ok |-> e.ok] : e \in Range(Of(j, "decided"))} \cup
  (IF wrong = "decide_anew" THEN {} ELSE Forced(j))
Received(j) == {d \in Decisions(j) : d.ok}
Settled(j) == {s \in SentBy(j) : \E f \in Ends(j) : f.id = s.id /\ f.ok}
Open(j) == {s \in SentBy(j) : \A f \in Ends(j) : f.id # s.id}
Clearing(j) == Sum(Settled(j)) - Sum(Received(j))
OnlySettledThere(a, b) == {s \in Open(a) : \E d \in Received(b) : d.id = s.id}   \* U

----------------------------- (* What must hold *) -----------------------------
PairIdentity == \* I7
  LET a == Cut[1]  b == Cut[2]
  IN Clearing(a) + Clearing(b) + Sum(OnlySettledThere(a, b)) + Sum(OnlySettledThere(b, a)) = 0

OneOutcome == \* T6, T8: what ended was decided, so, once
  \A way \in {Cut, <<Cut[2], Cut[1]>>} : \A f \in Ends(way[1]) :
    /\ \E s \in SentBy(way[1]) : s.id = f.id
    /\ {d.ok : d \in {x \in Decisions(way[2]) : x.id = f.id}} = {f.ok}

OneEffect == \* B3, S7, X4: nothing is sent, decided or ended twice in a journal
  \A t \in Towns : \A kinds \in {{"sent"}, {"decided"}, {"final", "returned"}} :
    LET found == SelectSeq(journal[t], LAMBDA e : e.k \in kinds)
    IN \A i, k \in 1..Len(found) : found[i].id = found[k].id => i = k

FinalStays == \* T8: as it was once seen to end, it ends
  \A one, other \in known : (one[1] = other[1] /\ one[2] = other[2]) => one[3] = other[3]

NoFalseStop == \* S6, X2: each stop, and each end of a generation, has a rollback of its own
  LET waiting == {t \in Towns : stopped[t] /\ registry[t] = Gen(journal[t])}
  IN Cardinality(waiting) + (registry[A] - 1) + (registry[B] - 1) <= rollbacks

AllEnded == \A t \in Towns : ~stopped[t] /\ Open(Saved(t)) = {}

CanGoOn(t) == \* whether a step of Progress is possible; `ENABLED` says the same and is slow
  LET p == Peer(t)  j == Spoken(p)
  IN \/ unsaved[t]
     \/ lost[t] /\ wrong # "no_repetition"
     \/ stopped[t] /\ registry[t] = Gen(journal[t])
     \/ stopped[t] /\ PeerGen(Saved(p)) = registry[t]
     \/ Idle(t) /\ registry[p] > PeerGen(journal[t])
     \/ /\ Idle(t) /\ ~lost[p] /\ ForMe(t, j)
        /\ ShowsRollback(t, j) \/ IsFresh(Stream(j), Mark(t, j))

NothingIsStuck == \* S11 to S13, X5: where nothing more can be done, all has ended
  AllEnded \/ CanGoOn(A) \/ CanGoOn(B)

EveryTransferEnds == <>[]AllEnded \* the same, said of whole histories

--------------------------- (* The planted bugs *) ---------------------------
(* All in one run: each is followed until the first thing that it breaks,    *)
(* which is printed. One worker, so that this is the same in every run.      *)
Names == <<"refund_on_timeout", "no_repetition", "send_before_commit", "duplicate_taken", "gap_skipped",
           "heard_ignored", "old_generation_taken", "lost_forgotten", "unheard_forgotten", "decide_anew">>
NumberOf(name) == CHOOSE i \in 1..Len(Names) : Names[i] = name
ASSUME \A i \in 1..Len(Names) : TLCSet(i, FALSE)

Broken ==
  CASE ~OneEffect -> "OneEffect"
    [] ~OneOutcome -> "OneOutcome"
    [] ~PairIdentity -> "PairIdentity"
    [] ~FinalStays -> "FinalStays"
    [] ~NoFalseStop -> "NoFalseStop"
    [] ~NothingIsStuck -> "NothingIsStuck"
    [] OTHER -> "nothing"

NotFound == wrong = "nothing" \/ ~TLCGet(NumberOf(wrong))
Judged ==
  NotFound => (Broken = "nothing" \/
    (PrintT(<<"found", wrong, Broken, TLCGet("level")>>) /\ TLCSet(NumberOf(wrong), TRUE)))
=============================================================================

#!/bin/sh
# Founds the network of compose.yaml: homes, cards, the signed first entry, and the sum key. Once; for a pilot on one
# machine, where one person may do what the members do apart in production (docs/guides/operate.md).
# Environment: NETWORK, EPOCH, SUITE; COMPOSE, the command (docker compose).
set -eu
cd "$(dirname "$0")"
NETWORK=${NETWORK:-pilot}
EPOCH=${EPOCH:-$(date +%Y-%m)}
SUITE=${SUITE:-paillier-3072}
COMPOSE=${COMPOSE:-docker compose}
HOME_IN=/var/lib/hedui/node
SEQUENCER=audit OFFICE=office TRUSTEE=audit

in_member() { # a command of hedui in a member's own container, before its node runs
    member=$1
    shift
    $COMPOSE run --rm --no-deps --no-TTY "$member" "$@" </dev/null
}
members() { cut -d' ' -f1 members; }

./secrets.sh
while read -r member name roles; do
    options=""
    for role in $roles; do options="$options --role $role"; done
    # shellcheck disable=SC2086  roles are words
    in_member "$member" node init $HOME_IN --id "$member" --name "$name" $options \
        --listen 0.0.0.0:7401 --endpoint "$member:7401" --passphrase-file /run/secrets/passphrase \
        --store "postgresql+psycopg://$member@postgres:5432/$member?password_file=/run/secrets/database"
    $COMPOSE run --rm --no-deps --no-TTY --entrypoint cp "$member" $HOME_IN/card.json "/exchange/$member.json" </dev/null
done <members

cards=""
for member in $(members); do cards="$cards --card /exchange/$member.json"; done
# shellcheck disable=SC2086  options are words
in_member $SEQUENCER network create /exchange/proposal.json --network "$NETWORK" --epoch "$EPOCH" --suite "$SUITE" --pilot $cards
for member in $(members); do in_member "$member" network sign $HOME_IN /exchange/proposal.json; done
in_member $SEQUENCER network seal $HOME_IN /exchange/proposal.json /exchange/network.json
for member in $(members); do
    [ "$member" = $SEQUENCER ] || in_member "$member" network join $HOME_IN /exchange/network.json
done
in_member $TRUSTEE sumkey deal /exchange/ceremony.json --network "$NETWORK" --suite "$SUITE" \
    --office /exchange/$OFFICE.json --trustee /exchange/$TRUSTEE.json
for member in $OFFICE $TRUSTEE; do in_member "$member" sumkey install $HOME_IN /exchange/ceremony.json; done

$COMPOSE up --detach --wait
in_running() { $COMPOSE exec --no-TTY "$@" </dev/null; }
in_running $TRUSTEE hedui sumkey sign $HOME_IN /exchange/ceremony.json
in_running $OFFICE hedui sumkey publish $HOME_IN /exchange/ceremony.json
echo "Founded. Publish with: $COMPOSE exec tax hedui dataset publish $HOME_IN …"

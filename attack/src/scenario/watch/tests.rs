use super::*;

const SS: &str = "\
LISTEN 0 4096 127.0.0.1:8080 0.0.0.0:* skmem:(r0,rb131072,t0,tb16384,f0,w0,o0,bl0,d0)
ESTAB 0 65536 127.0.0.1:8080 127.0.1.7:40000 skmem:(r0,rb131072,t0,tb87040,f512,w70144,o0,bl0,d0)
ESTAB 0 0 127.0.0.1:8080 127.0.0.1:40001 skmem:(r0,rb131072,t0,tb87040,f0,w0,o0,bl0,d0)
CLOSE-WAIT 1 16384 127.0.0.1:8080 127.0.2.1:40002 skmem:(r0,rb131072,t0,tb87040,f0,w20000,o0,bl0,d0)
TIME-WAIT 0 0 127.0.0.1:8080 127.0.1.9:40003
";

#[test]
fn only_the_connections_of_the_attack_count() {
    let sockets: Vec<Socket> = SS.lines().filter_map(socket).collect();
    assert_eq!(sockets.len(), 3);
    let mut queues = Queues::default();
    queues.add(&sockets);
    let expected = Queues {
        looks: 1,
        connections: 2,
        unsent_mean: 40_960.0,
        unsent_max: 65_536,
        send_memory_mean: 45_072.0,
        send_memory_max: 70_144,
    };
    assert_eq!(queues, expected);
    queues.add(&sockets[..1]);
    assert!((queues.unsent_mean - 53_248.0).abs() < 1e-9);
    queues.add(&[]);
    assert_eq!(queues.looks, 2);
}

#[test]
fn counters_are_name_and_value() {
    let counters = parse_counters("accepted 12\n timeout_head\t3 \n# not 1x\nworker 0 turns 9\n");
    let expected = [("accepted", 12), ("timeout_head", 3), ("worker 0 turns", 9)];
    assert_eq!(
        counters,
        expected
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    );
}

#[test]
fn memory_of_a_process_with_a_child() {
    let own = std::process::id();
    let alone = resident_of(own).unwrap();
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let together = resident_kib(own).unwrap();
    let part = resident_of(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(part.is_some_and(|part| part > 0));
    // Other tests run beside this one: what is there may grow, and hardly shrinks by half.
    assert!(together > alone / 2);
    assert!(processes().contains(&(own, std::os::unix::process::parent_id())));
}

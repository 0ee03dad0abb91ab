from agents.run import progress

COUNTERS = {'env_steps': 4000, 'episodes': 9, 'updates': 400}


def test_the_line_of_an_episode_names_what_it_shows(capsys):
  progress.Progress().episode(
      COUNTERS,
      {'return': 123.4, 'evaluation_return': 99.6, 'image_loss': 5.678,
       'update_seconds': 0.1234, 'skipped_updates': 2,
       'open_loop_random_image': [1.0, 2.0, 3.0]}, 125.0)
  line = capsys.readouterr().out
  for part in ('2:05', 'episode    9', 'env_steps    4000 (32/s)',
               'return 123', 'evaluation 100', 'image 5.68',
               's/update 0.123', 'skipped 2', 'random 1.0/3.0/3.0 nats'):
    assert part in line, part
  assert len(line.splitlines()) == 1


def test_what_is_not_known_is_not_shown(capsys):
  progress.Progress().episode(COUNTERS, {}, 0.0)
  line = capsys.readouterr().out
  assert 'return' not in line and 'skipped' not in line


def test_closing_without_a_bar_is_no_error():
  progress.Progress().close()

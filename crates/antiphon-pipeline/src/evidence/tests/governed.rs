//! Quotes that leave out what turns them round in another way than by a negation: what was forgotten, refused, forbidden or too
//! much, limits behind the words, and changed words in many languages; and true quotes beside such words.

use super::true_quotes::is_found;

/// What was said, and a quote that turns it round; in each line.
const TURNED: &str = r#"
    I'm too tired to cook for the whole family at night. | cook for the whole family at night
    It's too dear to buy my bread at that market. | buy my bread at that market
    I gave up going to the market on Fridays. | going to the market on Fridays
    I stopped going to the market on Fridays. | going to the market on Fridays
    I doubt very much that the app helps us in winter. | the app helps us in winter
    I seriously doubt whether the app helps us in winter. | the app helps us in winter
    The bread is anything but cheap for a family. | cheap for a family
    I forgot to pay for the third ferry ticket. | pay for the third ferry ticket
    I hate paying for the third ferry ticket. | I like paying for the third ferry ticket.
    I buy my bread there less and less. | I buy my bread there
    I buy my bread there only on Fridays. | I buy my bread there
    I buy my bread there hardly ever. | I buy my bread there
    There is no way I would buy my bread there. | I would buy my bread there
    No way would I buy my bread there. | I buy my bread there
    I'm not going to say the app helps us. | the app helps us
    It isn't like the app helps us in winter. | the app helps us in winter
    It's a myth that the app helps us in winter. | the app helps us in winter
    It's wrong to say the app helps us in winter. | the app helps us in winter
    They promised that it works, and it does not work. | and it does work
    I can't stand waiting in the cold at the quay. | waiting in the cold at the quay
    I would have bought the bread there. | I have bought the bread there.
    I will buy the bread there tomorrow. | I would buy the bread there tomorrow.
    I might buy the bread there tomorrow. | I must buy the bread there tomorrow.
    All of my friends buy their bread there. | Some of my friends buy their bread there.
    Not all of my friends buy their bread there. | all of my friends buy their bread there
    Not everyone in town buys their bread there. | everyone in town buys their bread there
    It's not uncommon that I buy my bread there. | It's uncommon that I buy my bread there
    It's not unusual to wait an hour there. | unusual to wait an hour there
    The boss fired my brother in the spring. | My brother fired the boss in the spring.
    It takes more than two hours to get there. | It takes less than two hours to get there.
    It costs under five pounds to go there. | It costs over five pounds to go there.
    We never pay more than five pounds there. | pay more than five pounds there
    Rarely have I seen such a good market here. | I seen such a good market here
    Rarely do I buy my bread there. | I buy my bread there
    Hardly anyone in town buys their bread there. | anyone in town buys their bread there
    I refuse point blank to pay for a third ferry. | pay for a third ferry
    We lack the money to pay for a third ferry. | the money to pay for a third ferry
    I failed miserably to pay for a third ferry. | pay for a third ferry
    I regret buying my bread there on Fridays. | I love buying my bread there on Fridays.
    I only wish the app would help us in winter. | the app would help us in winter
    If only the app would help us in winter. | the app would help us in winter
    It's useless to walk there before dawn. | useful to walk there before dawn
    It is hopeless for us at the market. | It is hopeful for us at the market.
    It is careless of them to leave it open. | It is careful of them to leave it open.
    Ten of us eat there and two hate it. | Two of us eat there and ten hate it.
    I pay so that I need not walk there at night. | walk there at night
    Wir haben keine Lust, das Brot im Hafen zu kaufen. | das Brot im Hafen zu kaufen
    Ich weigere mich, für die dritte Fähre zu zahlen. | für die dritte Fähre zu zahlen
    Ich habe aufgehört, das Brot im Hafen zu kaufen. | das Brot im Hafen zu kaufen
    Ich habe vergessen, die dritte Fähre zu zahlen. | die dritte Fähre zu zahlen
    Statt das Brot im Hafen zu kaufen, backe ich selbst. | das Brot im Hafen zu kaufen
    Anstatt für die dritte Fähre zu zahlen, gehe ich. | für die dritte Fähre zu zahlen
    Ich bin zu müde, um am Abend für alle zu kochen. | am Abend für alle zu kochen
    Ich bin viel zu müde, um am Abend für alle zu kochen. | um am Abend für alle zu kochen
    Es ist alles andere als billig für eine Familie. | billig für eine Familie
    Kaum jemand in der Stadt kauft dort sein Brot. | jemand in der Stadt kauft dort sein Brot
    Ich kaufe dort mein Brot nur am Freitag. | Ich kaufe dort mein Brot
    Ich kaufe dort mein Brot so gut wie nie. | Ich kaufe dort mein Brot
    Ich kaufe dort mein Brot immer seltener. | Ich kaufe dort mein Brot
    Ich kaufe dort mein Brot recht selten. | Ich kaufe dort mein Brot
    Es ist nicht unmöglich, dort Brot zu kaufen. | Es ist unmöglich, dort Brot zu kaufen.
    Die Arbeit ist für mich sinnlos geworden. | Die Arbeit ist für mich sinnvoll geworden.
    Das ist für uns unwichtig im Winter. | Das ist für uns wichtig im Winter.
    Ich würde dort gern mein Brot kaufen. | Ich werde dort gern mein Brot kaufen.
    Ich bezweifle stark, dass die App uns hilft. | die App uns hilft
    Ich bezweifle, dass die App uns im Winter hilft. | die App uns im Winter hilft
    Es stimmt nicht, dass die App uns im Winter hilft. | die App uns im Winter hilft
    Es ist ein Märchen, dass die App uns im Winter hilft. | die App uns im Winter hilft
    Alle außer mir kaufen dort ihr Brot. | Alle kaufen dort ihr Brot.
    Die meisten von uns kaufen dort Brot. | Die wenigsten von uns kaufen dort Brot.
    Mehr als zehn Leute warten dort jeden Tag. | Weniger als zehn Leute warten dort jeden Tag.
    Der Chef hat meinen Bruder entlassen. | Mein Bruder hat den Chef entlassen.
    Ich vermeide es, am Abend in den Hafen zu gehen. | am Abend in den Hafen zu gehen
    Wir konnten es uns nicht leisten, die Fähre zu nehmen. | die Fähre zu nehmen
    Es lohnt sich nicht, die Fähre zu nehmen. | die Fähre zu nehmen
    Ich habe mir abgewöhnt, die Fähre am Morgen zu nehmen. | die Fähre am Morgen zu nehmen
    Es ist verboten, im Hafen Netze zu trocknen. | im Hafen Netze zu trocknen
    Man kann dort nirgends gutes Brot bekommen. | gutes Brot bekommen
    Je suis trop fatigué pour cuisiner le soir à la maison. | cuisiner le soir à la maison
    J'ai arrêté d'acheter mon pain au port. | acheter mon pain au port
    J'ai cessé définitivement d'acheter mon pain au port. | acheter mon pain au port
    J'ai oublié de payer le troisième bac. | payer le troisième bac
    Au lieu de payer le troisième bac, je marche. | payer le troisième bac
    Je doute fort que l'appli nous aide en hiver. | l'appli nous aide en hiver
    J'achète mon pain là-bas rarement. | J'achète mon pain là-bas
    J'achète mon pain là-bas de moins en moins. | J'achète mon pain là-bas
    J'achète mon pain là-bas seulement le vendredi. | J'achète mon pain là-bas
    Je n'achète plus mon pain au port. | achète mon pain au port
    Je n'achète plus mon pain au port. | mon pain au port
    Je n'achète que mon pain au port. | J'achète mon pain au port.
    Il est faux de dire que l'appli nous aide en hiver. | l'appli nous aide en hiver
    Presque personne dans la ville ne va là-bas. | personne dans la ville ne va là-bas
    Tous sauf moi achètent leur pain là-bas. | Tous achètent leur pain là-bas.
    J'achèterai mon pain là-bas demain matin. | J'achèterais mon pain là-bas demain matin.
    C'est impossible pour nous de venir le soir. | C'est possible pour nous de venir le soir.
    Ce n'est pas inutile de venir le soir. | C'est inutile de venir le soir.
    Je refuse catégoriquement de payer un troisième bac. | payer un troisième bac
    Il est interdit de sécher les filets au port. | sécher les filets au port
    Je ne saurais dire que l'appli nous aide. | l'appli nous aide
    J'évite autant que possible de venir le soir au port. | venir le soir au port
    C'est tout sauf bon marché pour une famille. | bon marché pour une famille
    Estoy demasiado cansada para cocinar en casa por la noche. | cocinar en casa por la noche
    Dejé de comprar pan en el muelle. | comprar pan en el muelle
    He dejado de comprar pan en el muelle. | comprar pan en el muelle
    Me olvidé de pagar la tercera barca. | pagar la tercera barca
    En vez de pagar la tercera barca, camino. | pagar la tercera barca
    Dudo mucho que la aplicación nos ayude en invierno. | la aplicación nos ayude en invierno
    Compro mi pan allí muy rara vez. | Compro mi pan allí
    Compro mi pan allí cada vez menos. | Compro mi pan allí
    Compro mi pan allí solo los viernes. | Compro mi pan allí
    Casi nunca compro mi pan en el muelle. | compro mi pan en el muelle
    Apenas compro mi pan en el muelle. | compro mi pan en el muelle
    Es mentira que la aplicación nos ayude en invierno. | la aplicación nos ayude en invierno
    Todos menos yo compran su pan allí. | Todos compran su pan allí.
    Compraré mi pan allí mañana temprano. | Compraría mi pan allí mañana temprano.
    Es imposible para nosotros venir por la noche. | Es posible para nosotros venir por la noche.
    Me niego rotundamente a pagar una tercera barca. | pagar una tercera barca
    Está prohibido secar las redes en el muelle. | secar las redes en el muelle
    Evito siempre que puedo venir por la noche al muelle. | venir por la noche al muelle
    Es cualquier cosa menos barato para una familia. | barato para una familia
    Ya no compro mi pan en el muelle. | compro mi pan en el muelle
    Sono troppo stanca per cucinare a casa la sera. | cucinare a casa la sera
    Ho smesso di comprare pane sul molo. | comprare pane sul molo
    Ho dimenticato di pagare il terzo traghetto. | pagare il terzo traghetto
    Invece di pagare il terzo traghetto, cammino. | pagare il terzo traghetto
    Dubito fortemente che l'app ci aiuti in inverno. | l'app ci aiuti in inverno
    Compro il pane lì sempre meno. | Compro il pane lì
    Compro il pane lì soltanto il venerdì. | Compro il pane lì
    Compro il pane lì quasi mai. | Compro il pane lì
    Non compro più il pane sul molo. | compro più il pane sul molo
    È una bugia che l'app ci aiuti in inverno. | l'app ci aiuti in inverno
    Tutti tranne me comprano il pane lì. | Tutti comprano il pane lì.
    È vietato asciugare le reti sul molo. | asciugare le reti sul molo
    Mi rifiuto sempre di pagare un terzo traghetto. | pagare un terzo traghetto
    È impossibile per noi venire la sera. | È possibile per noi venire la sera.
    È tutt'altro che economico per una famiglia. | economico per una famiglia
    Estou cansada demais para cozinhar em casa à noite. | cozinhar em casa à noite
    Parei de comprar pão no cais. | comprar pão no cais
    Deixei de comprar pão no cais. | comprar pão no cais
    Esqueci de pagar a terceira balsa. | pagar a terceira balsa
    Em vez de pagar a terceira balsa, eu caminho. | pagar a terceira balsa
    Duvido muito que o aplicativo nos ajude no inverno. | o aplicativo nos ajude no inverno
    Compro meu pão lá cada vez menos. | Compro meu pão lá
    Compro meu pão lá só às sextas. | Compro meu pão lá
    Compro meu pão lá quase nunca. | Compro meu pão lá
    É mentira que o aplicativo nos ajude no inverno. | o aplicativo nos ajude no inverno
    É proibido secar as redes no cais. | secar as redes no cais
    Recuso-me sempre a pagar uma terceira balsa. | pagar uma terceira balsa
    Já não compro meu pão no cais. | compro meu pão no cais
    Jestem zbyt zmęczona, żeby gotować wieczorem w domu. | gotować wieczorem w domu
    Przestałam kupować chleb na targu. | kupować chleb na targu
    Zapomniałem zapłacić za trzeci prom. | zapłacić za trzeci prom
    Zamiast płacić za trzeci prom, chodzę pieszo. | płacić za trzeci prom
    Wątpię, żeby aplikacja nam pomagała zimą. | aplikacja nam pomagała zimą
    Wątpię bardzo, że aplikacja nam pomaga zimą. | aplikacja nam pomaga zimą
    Kupuję tam chleb coraz rzadziej. | Kupuję tam chleb
    Kupuję tam chleb tylko w piątki. | Kupuję tam chleb
    Kupuję tam chleb prawie nigdy. | Kupuję tam chleb
    To jest niemożliwe dla nas zimą. | To jest możliwe dla nas zimą.
    To jest nieważne dla nas zimą. | To jest ważne dla nas zimą.
    To nieprawda, że aplikacja nam pomaga zimą. | aplikacja nam pomaga zimą
    Odmawiam zawsze płacić za trzeci prom. | płacić za trzeci prom
    Unikam chodzenia rano do portu w zimie. | Lubię chodzenia rano do portu w zimie
    Wszyscy oprócz mnie kupują tam chleb. | Wszyscy kupują tam chleb.
    Mało kto kupuje tam chleb rano. | kto kupuje tam chleb rano
    Я слишком устала, чтобы готовить вечером дома. | готовить вечером дома
    Я перестала покупать хлеб на рынке. | покупать хлеб на рынке
    Я бросила покупать хлеб на рынке. | покупать хлеб на рынке
    Я забыл заплатить за третий паром. | заплатить за третий паром
    Вместо того чтобы платить за третий паром, я хожу. | платить за третий паром
    Сомневаюсь, что приложение нам помогает зимой. | приложение нам помогает зимой
    Я очень сомневаюсь, что приложение нам помогает. | приложение нам помогает
    Я покупаю там хлеб всё реже. | Я покупаю там хлеб
    Я покупаю там хлеб только по пятницам. | Я покупаю там хлеб
    Я покупаю там хлеб очень редко. | Я покупаю там хлеб
    Вряд ли приложение нам помогает зимой. | приложение нам помогает зимой
    Это неправда, что приложение нам помогает зимой. | приложение нам помогает зимой
    Это невозможно для нас зимой вечером. | Это возможно для нас зимой вечером.
    Это неважно для нас зимой вечером. | Это важно для нас зимой вечером.
    Отказываюсь наотрез платить за третий паром. | платить за третий паром
    Мало кто покупает там хлеб утром. | кто покупает там хлеб утром
    Все кроме меня покупают там хлеб. | Все покупают там хлеб.
    Запрещено сушить сети на старом причале. | сушить сети на старом причале
    Pazardan ekmek almayı bıraktım. | Pazardan ekmek almayı
    Pazardan ekmek almaktan vazgeçtim. | Pazardan ekmek almaktan
    Üçüncü vapura para vermeyi unuttum. | Üçüncü vapura para vermeyi
    Üçüncü vapura para vermek yerine yürürüm. | Üçüncü vapura para vermek
    Uygulamanın bize yardım ettiğinden şüpheliyim. | Uygulamanın bize yardım ettiğinden
    Uygulamanın bize yardım ettiği yalan. | Uygulamanın bize yardım ettiği
    Pazardan ekmek almak yasak. | Pazardan ekmek almak
    Pazardan ekmek almayı reddediyorum. | Pazardan ekmek almayı
    Bu uygulama bizim için imkânsız. | Bu uygulama bizim için mümkün.
    Bu uygulama bizim için önemsiz. | Bu uygulama bizim için önemli.
    Pazardan ekmek almadan eve dönerim. | Pazardan ekmek alarak eve dönerim.
    Bu ekmeği beğenmiyorum aslında. | Bu ekmeği beğeniyorum aslında.
    Neredeyse hiç kimse oradan ekmek almıyor. | kimse oradan ekmek almıyor
    Pazara ekmek almaya gidemem sabahları. | Pazara ekmek almaya
    我讨厌在市场上买面包。 | 在市场上买面包
    我戒掉了在市场上买面包的习惯。 | 在市场上买面包的习惯
    我已经停止在市场上买面包。 | 在市场上买面包
    我忘了付第三张船票的钱。 | 付第三张船票的钱
    我怀疑这个软件对我们有帮助。 | 这个软件对我们有帮助
    我拒绝付第三张船票的钱。 | 付第三张船票的钱
    我太累了，没法在家做晚饭。 | 在家做晚饭
    我懒得在家做晚饭。 | 在家做晚饭
    与其在市场上买面包，我宁愿自己做。 | 在市场上买面包
    我避免在晚上去旧码头。 | 在晚上去旧码头
    禁止在码头晒渔网。 | 在码头晒渔网
    我在那里买面包的次数很少。 | 我在那里买面包
    我在市场上买不到面包。 | 我在市场上买
    这个软件对我们有帮助是假的。 | 这个软件对我们有帮助
    并不是所有人都在那里买面包。 | 所有人都在那里买面包
    除了我，大家都在那里买面包。 | 除了我，大家都不在那里买面包。
    我几乎从来不在那里买面包。 | 在那里买面包
    我再也不会在那里买面包。 | 会在那里买面包
    我不得不在那里买面包。 | 我不在那里买面包
    市場でパンを買うのをやめました。 | 市場でパンを買う
    市場でパンを買うのは無理です。 | 市場でパンを買う
    市場でパンを買うのは嫌です。 | 市場でパンを買う
    市場でパンを買うのは禁止です。 | 市場でパンを買う
    三枚目の切符を払うのを忘れました。 | 三枚目の切符を払う
    市場でパンを買う代わりに、自分で焼きます。 | 市場でパンを買う
    アプリが役に立つというのは嘘です。 | アプリが役に立つ
    アプリが役に立つとは思えません。 | アプリが役に立つ
    アプリが役に立つわけがない。 | アプリが役に立つ
    アプリが役に立つかどうか疑わしいです。 | アプリが役に立つ
    このパンはおいしくありませんでした。 | このパンはおいしく
    このパンはおいしいわけではありません。 | このパンはおいしい
    毎朝パンを買いに行くことはほとんどありません。 | 毎朝パンを買いに行く
    毎朝パンを買いに行くのはごめんです。 | 毎朝パンを買いに行く
    めったに市場でパンを買いません。 | 市場でパンを買い
    そこでパンを買いたくなかったです。 | そこでパンを買いたく
    そこでパンを買わないで帰ります。 | そこでパンを買わ
    そこでパンを買わずに帰ります。 | そこでパンを買わ
    そこで魚を食べにくいと感じます。 | そこで魚を食べやすいと感じます
    시장에서 빵을 사는 것을 그만뒀어요. | 시장에서 빵을 사는
    시장에서 빵을 사는 건 금지예요. | 시장에서 빵을 사는
    시장에서 빵을 사는 걸 포기했어요. | 시장에서 빵을 사는
    표값을 내는 것을 잊었어요 오늘. | 표값을 내는 것을
    앱이 도움이 된다는 건 거짓말이에요. | 앱이 도움이 된다는
    앱이 도움이 된다고 생각하지 않아요. | 앱이 도움이 된다고
    시장에서 빵을 사기 싫어요. | 시장에서 빵을 사기
    시장에서 빵을 사는 대신 집에서 구워요. | 시장에서 빵을 사는
    시장에서 빵을 사는 일은 드물어요. | 시장에서 빵을 사는
    앱이 도움이 되는지 의심스러워요. | 앱이 도움이 되는지
    저는 빵을 사러 가지 않았습니다. | 저는 빵을 사러 가지
    저는 빵을 사러 갈 수 없어요. | 저는 빵을 사러 갈
    ฉันเลิกซื้อขนมปังที่ตลาด | ซื้อขนมปังที่ตลาด
    ฉันหยุดซื้อขนมปังที่ตลาดแล้ว | ซื้อขนมปังที่ตลาดแล้ว
    ฉันลืมจ่ายค่าเรือเที่ยวที่สาม | จ่ายค่าเรือเที่ยวที่สาม
    ฉันเกลียดการซื้อขนมปังที่ตลาด | ฉันชอบการซื้อขนมปังที่ตลาด
    ฉันแทบจะไม่ซื้อขนมปังที่ตลาด | ซื้อขนมปังที่ตลาด
    ฉันซื้อขนมปังที่นี่ไม่บ่อย | ฉันซื้อขนมปังที่นี่
    ฉันซื้อขนมปังที่นี่ได้ไม่บ่อย | ฉันซื้อขนมปังที่นี่
    ฉันไม่ค่อยซื้อขนมปังที่ตลาด | ซื้อขนมปังที่ตลาด
    ฉันไม่คิดว่าแอปช่วยเราได้ | แอปช่วยเราได้
    ฉันสงสัยว่าแอปช่วยเราได้จริงหรือ | แอปช่วยเราได้จริง
    แทนที่จะซื้อขนมปังที่ตลาด ฉันทำเอง | ซื้อขนมปังที่ตลาด
    ห้ามตากแหที่ท่าเรือเก่า | ตากแหที่ท่าเรือเก่า
    ฉันปฏิเสธที่จะจ่ายค่าเรือเที่ยวที่สาม | จ่ายค่าเรือเที่ยวที่สาม
    ฉันหลีกเลี่ยงการไปท่าเรือตอนกลางคืน | ไปท่าเรือตอนกลางคืน
    ฉันซื้อขนมปังที่นี่นานๆ ครั้ง | ฉันซื้อขนมปังที่นี่
    لا أشتري الخبز من السوق القديم. | أشتري الخبز من السوق القديم
    ولا أشتري الخبز من السوق القديم. | أشتري الخبز من السوق القديم
    فلم أشتر الخبز من السوق القديم. | أشتر الخبز من السوق القديم
    ولن أدفع ثمن العبارة الثالثة. | أدفع ثمن العبارة الثالثة
    نادرا ما أشتري الخبز من السوق. | أشتري الخبز من السوق
    نادراً ما أشتري الخبز من السوق. | أشتري الخبز من السوق
    توقفت عن شراء الخبز من السوق. | شراء الخبز من السوق
    أرفض دفع ثمن العبارة الثالثة. | دفع ثمن العبارة الثالثة
    نسيت أن أدفع ثمن العبارة الثالثة. | أدفع ثمن العبارة الثالثة
    بدلا من شراء الخبز من السوق أخبز. | شراء الخبز من السوق
    أشتري الخبز من السوق فقط يوم الجمعة. | أشتري الخبز من السوق
    أشتري الخبز من السوق نادرا جدا. | أشتري الخبز من السوق
    لا أعتقد أن التطبيق يساعدنا في الشتاء. | التطبيق يساعدنا في الشتاء
    أشك في أن التطبيق يساعدنا في الشتاء. | التطبيق يساعدنا في الشتاء
    ليس صحيحا أن التطبيق يساعدنا في الشتاء. | التطبيق يساعدنا في الشتاء
    بالكاد أشتري الخبز من السوق القديم. | أشتري الخبز من السوق القديم
    من المستحيل أن ندفع ثمن العبارة. | ندفع ثمن العبارة
    ممنوع تجفيف الشباك في الميناء. | تجفيف الشباك في الميناء
    ما عدت أشتري الخبز من السوق. | أشتري الخبز من السوق
    אני לא קונה לחם בשוק הישן. | קונה לחם בשוק הישן
    הפסקתי לקנות לחם בשוק הישן. | לקנות לחם בשוק הישן
    אני חושב שהאפליקציה לא עוזרת לנו. | שהאפליקציה עוזרת לנו
    मैं बाज़ार से रोटी नहीं खरीदता हूँ। | मैं बाज़ार से रोटी
    मैं शायद ही बाज़ार से रोटी खरीदता हूँ। | बाज़ार से रोटी खरीदता हूँ
    मैंने बाज़ार से रोटी खरीदना छोड़ दिया। | बाज़ार से रोटी खरीदना
    Tôi không bao giờ mua bánh mì ở chợ. | mua bánh mì ở chợ
    Tôi hiếm khi mua bánh mì ở chợ. | mua bánh mì ở chợ
    Tôi đã ngừng mua bánh mì ở chợ. | mua bánh mì ở chợ
    Saya jarang membeli roti di pasar. | membeli roti di pasar
    Saya berhenti membeli roti di pasar. | membeli roti di pasar
    Ik ben te moe om 's avonds voor iedereen te koken. | 's avonds voor iedereen te koken
    Ik ben gestopt met brood kopen in de haven. | brood kopen in de haven
    In plaats van de derde boot te betalen loop ik. | de derde boot te betalen
    Ik betwijfel of de app ons in de winter helpt. | de app ons in de winter helpt
    Ik koop daar mijn brood alleen op vrijdag. | Ik koop daar mijn brood
    Ik koop daar mijn brood steeds minder. | Ik koop daar mijn brood
    Jag har slutat köpa brödet på torget. | köpa brödet på torget
    Jag är för trött för att laga mat hemma på kvällen. | laga mat hemma på kvällen
    I stället för att betala tredje färjan går jag. | betala tredje färjan
    Jag köper brödet där allt mer sällan. | Jag köper brödet där
"#;

/// What was said, and a quote of it; in each line.
const TRUE: &str = r#"
    Um, I buy my bread at that market. | I buy my bread at that market
    I buy my bread at that market, um, every Friday. | I buy my bread at that market every Friday
    I was tired, so I cooked for the whole family. | I cooked for the whole family
    The market is too far, and I cook for the whole family. | I cook for the whole family
    I like the market too, to be honest with you. | I like the market too
    It's too late now, so I buy my bread at home. | I buy my bread at home
    I like it too. I cook for the whole family. | I cook for the whole family
    I stopped. Now I buy my bread at home. | I buy my bread at home
    I go there on Fridays and only then I pay. | I go there on Fridays
    We have two shops, only one of them is open late. | We have two shops
    I keep the ledger in a tin, almost full by now. | I keep the ledger in a tin
    My sister forgot, and I paid for the ferry. | I paid for the ferry
    It's cheap for a family of five like us. | It's cheap for a family
    My brother gave up, but I keep the shop open. | I keep the shop open
    There are a few boats that I trust. | There are a few boats
    I quit the bank, and I mend the nets now. | I mend the nets now
    She said the app helps us in winter. | the app helps us in winter
    I trust the app a little more now. | I trust the app
    We buy less fish and more bread at the market. | more bread at the market
    I work there to pay for the ferry. | to pay for the ferry
    Ich kaufe das Brot im Hafen, um Geld zu sparen. | Ich kaufe das Brot im Hafen
    Ich habe vor, das Brot im Hafen zu kaufen. | das Brot im Hafen zu kaufen
    Das ist zu teuer, aber ich koche am Abend für alle. | ich koche am Abend für alle
    Ich gehe zu meinem Bruder, um das Brot zu holen. | um das Brot zu holen
    Ich bin nicht müde, ich koche am Abend für alle. | ich koche am Abend für alle
    Wir haben keine Zeit, wir kaufen das Brot im Hafen. | wir kaufen das Brot im Hafen
    Ich mag das nicht, das Brot ist zu hart. | das Brot ist zu hart
    Das stimmt nicht, die Fähre kommt immer um zehn. | die Fähre kommt immer um zehn
    Er kommt nie, die Kinder warten am Hafen auf ihn. | die Kinder warten am Hafen auf ihn
    Ich finde es gut, jeden Tag am Hafen zu sein. | jeden Tag am Hafen zu sein
    Wir fahren zu zweit, um die Netze zu holen. | um die Netze zu holen
    J'ai trop de travail et je cuisine le soir à la maison. | je cuisine le soir à la maison
    J'aime trop ce port, je viens le soir. | je viens le soir
    J'achète mon pain là-bas pour ma famille. | J'achète mon pain là-bas
    Ma sœur a oublié, mais j'ai payé le troisième bac. | j'ai payé le troisième bac
    Je travaille pour payer le troisième bac. | payer le troisième bac
    Trabajo mucho para pagar la tercera barca. | pagar la tercera barca
    Es demasiado caro, así que compro mi pan en casa. | compro mi pan en casa
    Mi hermana se olvidó, pero yo pagué la barca. | yo pagué la barca
    Compro mi pan allí todos los viernes. | Compro mi pan allí
    Lavoro molto per pagare il terzo traghetto. | pagare il terzo traghetto
    È troppo caro, quindi compro il pane a casa. | compro il pane a casa
    Compro il pane lì ogni venerdì mattina. | Compro il pane lì
    Trabalho muito para pagar a terceira balsa. | pagar a terceira balsa
    É caro demais, então compro meu pão em casa. | compro meu pão em casa
    Pracuję, żeby płacić za trzeci prom. | płacić za trzeci prom
    To jest zbyt drogie, dlatego kupuję chleb w domu. | kupuję chleb w domu
    Kupuję tam chleb w każdy piątek rano. | Kupuję tam chleb
    Я работаю, чтобы платить за третий паром. | платить за третий паром
    Это слишком дорого, поэтому я покупаю хлеб дома. | я покупаю хлеб дома
    Я покупаю там хлеб каждую пятницу. | Я покупаю там хлеб
    Pazardan ekmek almayı çok seviyorum. | Pazardan ekmek almayı çok seviyorum
    Üçüncü vapura para vermek gerekiyor. | Üçüncü vapura para vermek gerekiyor
    Her sabah pazardan ekmek alıyorum ve yürüyorum. | Her sabah pazardan ekmek alıyorum
    我每天在市场上买面包，忘了时间。 | 我每天在市场上买面包
    我喜欢在市场上买面包。 | 在市场上买面包
    我害怕下雨，所以我在家做晚饭。 | 我在家做晚饭
    市場でパンを買うのが好きです。 | 市場でパンを買うのが好きです
    市場でパンを買うので、やめられません。 | 市場でパンを買うので
    市場でパンを買います。仕事は無理です。 | 市場でパンを買います
    시장에서 빵을 사는 것을 좋아해요. | 시장에서 빵을 사는 것을 좋아해요
    시장에서 빵을 사요. 일은 그만뒀어요. | 시장에서 빵을 사요
    ฉันชอบซื้อขนมปังที่ตลาด | ซื้อขนมปังที่ตลาด
    ฉันซื้อขนมปังที่นี่ทุกวัน | ฉันซื้อขนมปังที่นี่
    أشتري الخبز من السوق كل يوم. | أشتري الخبز من السوق
    أعتقد أن التطبيق يساعدنا في الشتاء. | التطبيق يساعدنا في الشتاء
    أعمل هنا وأشتري الخبز من السوق. | وأشتري الخبز من السوق
    Ik werk om de derde boot te betalen. | de derde boot te betalen
    Ik koop daar mijn brood elke vrijdag. | Ik koop daar mijn brood
    Jag jobbar för att betala tredje färjan. | betala tredje färjan
    Jag köper brödet där varje fredag. | Jag köper brödet där
    Tôi thích mua bánh mì ở chợ. | mua bánh mì ở chợ
    Saya suka membeli roti di pasar. | membeli roti di pasar
"#;

/// Returns the lines of a list whose quote is found, or is not.
fn lines(list: &str, are_found: bool) -> Vec<&str> {
    let lines = list.lines().map(str::trim);
    let is_one =
        |line: &&str| line.split_once(" | ").is_some_and(|(said, quote)| is_found(said, quote) == are_found);
    lines.filter(is_one).collect()
}

#[test]
fn what_was_forgotten_forbidden_or_too_much_is_not_found() {
    let kept = lines(TURNED, true);
    assert!(kept.is_empty(), "{kept:#?}");
    assert!(lines(TURNED, false).len() >= 300);
}

#[test]
fn words_beside_what_turns_others_round_are_found() {
    let lost = lines(TRUE, false);
    assert!(lost.is_empty(), "{lost:#?}");
    assert!(lines(TRUE, true).len() >= 70);
}
